require "net/http"

url, path = ARGV
uri = URI(url)
request = Net::HTTP::Put.new(uri)
request.body = File.binread(path)
answer = Net::HTTP.start(uri.host, uri.port) { |http| http.request(request) }
puts "#{answer.code} #{answer["x-oncegate-reason"]}"
