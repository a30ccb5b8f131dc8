//! Tables for terminals. Rows come in, lines go out. Pure.

/// The rows under each other, each column as wide as its widest cell; the first row has the titles. The last column is not
/// filled up, and a column that is empty in all rows but the first is left out.
pub(super) fn lines(rows: &[Vec<String>]) -> String {
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let is_empty =
        |column: usize| rows.iter().skip(1).all(|row| row.get(column).is_none_or(String::is_empty));
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let shown: Vec<(usize, usize)> = (0..count)
        .filter(|column| !is_empty(*column))
        .filter_map(|column| Some((column, width(column)?)))
        .collect();
    let line = |row: &Vec<String>| {
        let cells = shown
            .iter()
            .map(|(column, width)| format!("{:width$}", row.get(*column).map_or("", String::as_str)));
        cells.collect::<Vec<_>>().join("   ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// A row.
pub(super) fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_empty_ones_are_left_out() {
        let rows =
            [row(["POD", "LAG", "MESSAGE"]), row(["mail-store-0-0", "", "đang chờ"]), row(["b", "", ""])];
        assert_eq!(lines(&rows), "POD              MESSAGE\nmail-store-0-0   đang chờ\nb\n");
        assert_eq!(lines(&[]), "");
    }
}
