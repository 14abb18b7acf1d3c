# Faraday sorts the parameters of a query before it sends it.
require "faraday"

url, path = ARGV
answer = Faraday.put(url) do |request|
  request.headers["Content-Type"] = "application/octet-stream"
  request.body = File.binread(path)
end
puts "#{answer.status} #{answer.headers["x-oncegate-reason"]}"
