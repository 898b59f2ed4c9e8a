# Lets a lease through as twelve lines, in this order, or nothing at all. No value holds a control character or begins with a dash.
def whole($low; $high): numbers | select(. == floor and . >= $low and . <= $high) | tostring;
def like($shape): strings | select(test("\\A(?:" + $shape + ")\\z"));
select(type == "object" and .state == "leased")
| [
    (.session | whole(1; 9007199254740991)),
    (.desktop | like("[A-Za-z0-9._-]{1,100}")),
    (.ticket | like("[A-Za-z0-9_-]{20,86}")),
    (.account.user | like("[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")),
    (.account.password | like("[^\\p{Cntrl}]{1,120}")),
    (.fingerprint | like("[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){31}")),
    (.relayPort | whole(1; 65535)),
    (.resumed | booleans | tostring),
    (.afterSession | like("claim-again|shut-down")),
    (.idleSeconds // 0 | whole(0; 604800)),
    (.warningSeconds // 0 | whole(0; 3600)),
    ([.capabilities[]? | select(IN("gfx", "rfx", "sound"))] | unique | join(" "))
  ]
| select(length == 12)
| .[]
