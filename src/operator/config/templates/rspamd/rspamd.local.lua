-- The verdict for the gate, on every message, whoever sent it and whatever the score: the gate lets
-- nothing pass that has no verdict, and knows a forged one by the token of this installation.
local file = assert(io.open('/etc/internal/token', 'r'))
local token = assert(file:read('*l'), 'empty token')
file:close()
assert(token:match('^%x+$'), 'the token is not hexadecimal')

-- What SPF, DKIM and DMARC prove, in words for the gate: it refuses our own domains from outside without a proof.
local function proven(task)
  local words = {}
  local function add(word, domain)
    domain = (domain or ''):lower()
    if domain:match('^[%w.-]+$') then table.insert(words, word .. '=' .. domain) end
  end
  local function domain_of(kind)
    local from = task:get_from(kind)
    return from and from[1] and from[1].domain
  end
  local unsure = task:has_symbol('R_SPF_DNSFAIL') or task:has_symbol('R_DKIM_TEMPFAIL') or task:has_symbol('DMARC_DNSFAIL')
  if task:has_symbol('R_SPF_ALLOW') then
    local domain = domain_of('smtp')
    if not domain or domain == '' then domain = task:get_helo() end
    add('spf', domain)
  end
  local trace = task:get_symbol('DKIM_TRACE')
  for _, option in ipairs(trace and trace[1] and trace[1].options or {}) do
    local domain, result = option:match('^(.*):(.)$')
    if result == '+' then add('dkim', domain) end
  end
  if task:has_symbol('DMARC_POLICY_ALLOW') then add('dmarc', domain_of('mime')) end
  if unsure then table.insert(words, 'unsure') end
  return table.concat(words, ' ')
end

rspamd_config:register_symbol {
  name = 'MAIL_VERDICT',
  type = 'idempotent',
  flags = 'empty,ignore_passthrough,explicit_disable',
  callback = function(task)
    local metric = task:get_metric_result()
    task:set_milter_reply {
      add_headers = {
        ['Mail-Verdict'] = string.format('%s action=%s score=%.2f %s', token, (metric.action:gsub(' ', '-')), metric.score, proven(task)),
      },
    }
  end,
}
