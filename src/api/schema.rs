//! The parts of the schemas that Rust types do not give: resource quantities, lists with a key, and what is taken out
//! again (formats of Rust, `null`). Schemas in, schemas out; rules (CEL) stand beside their fields.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{Schema, SchemaGenerator, json_schema};

/// Requests and limits of a container. Narrower than Kubernetes' own: no claims of dynamic resources, and a quantity
/// that is none is refused at once instead of when the pod is made.
pub fn resources(_: &mut SchemaGenerator) -> Schema {
    let quantities = |description: &str| {
        json_schema!({
            "description": description,
            "type": "object",
            "maxProperties": 16,
            "additionalProperties": {
                "pattern": r"^(([0-9]+([.][0-9]*)?)|([.][0-9]+))([KMGTPE]i|[munkMGTPE]|[eE][+-]?[0-9]+)?$",
                "x-kubernetes-int-or-string": true
            }
        })
    };
    json_schema!({
        "type": "object",
        "properties": {
            "requests": quantities("What is set aside for the container, such as `cpu: 500m` and `memory: 1Gi`."),
            "limits": quantities("The most that the container gets.")
        }
    })
}

/// Conditions, one of each type.
pub fn conditions(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": generator.subschema_for::<Condition>()
    })
}

/// Takes out what the API server does not know (formats of Rust's numbers) and `nullable`: an optional field is absent,
/// never `null`, so that a rule's `has()` means what it says.
pub(super) fn tidy(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            tidy_schema(schema);
        }
    }
    crd
}

fn tidy_schema(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.title = None;
    if schema.format.as_deref().is_some_and(|format| format.starts_with("uint")) {
        schema.format = None;
    }
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        tidy_schema(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy_schema(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy_schema(values);
    }
}
