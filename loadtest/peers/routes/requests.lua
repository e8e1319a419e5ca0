-- Spreads the requests of wrk over many routes: all requests are made before the round, and sent in turn.
local requests, at = {}, 0
function init(args)
  for host = 0, @HOSTS@ - 1 do
    for path = 0, 9 do
      requests[#requests + 1] = wrk.format("GET", "/route/" .. path .. "/x", { ["Host"] = "h" .. host .. "@ROUTES_DOMAIN@" })
    end
  end
  -- In an order without rhyme: neighbours in the list would be neighbours in memory.
  math.randomseed(1)
  for i = #requests, 2, -1 do
    local j = math.random(i)
    requests[i], requests[j] = requests[j], requests[i]
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
