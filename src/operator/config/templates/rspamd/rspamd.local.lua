-- The verdict for the gate, on every message, whoever sent it and whatever the score: the gate lets
-- nothing pass that has no verdict, and knows a forged one by the token of this installation.
local file = assert(io.open('/etc/internal/token', 'r'))
local token = assert(file:read('*l'), 'empty token')
file:close()
assert(token:match('^%x+$'), 'the token is not hexadecimal')

rspamd_config:register_symbol {
  name = 'MAIL_VERDICT',
  type = 'idempotent',
  flags = 'empty,ignore_passthrough,explicit_disable',
  callback = function(task)
    local metric = task:get_metric_result()
    task:set_milter_reply {
      add_headers = {
        ['Mail-Verdict'] = string.format('%s action=%s score=%.2f', token, metric.action:gsub(' ', '-'), metric.score),
      },
    }
  end,
}
