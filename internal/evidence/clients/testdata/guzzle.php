<?php
require '/usr/share/php/GuzzleHttp/autoload.php';
[, $url, $path] = $argv;
$client = new GuzzleHttp\Client(['http_errors' => false]);
$answer = $client->put($url, ['body' => fopen($path, 'rb')]);
echo $answer->getStatusCode(), ' ', $answer->getHeaderLine('x-oncegate-reason'), "\n";
