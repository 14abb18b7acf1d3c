<?php
[, $url, $path] = $argv;
$context = stream_context_create(['http' => [
    'method' => 'PUT', 'content' => file_get_contents($path), 'ignore_errors' => true,
    'header' => 'Content-Type: application/octet-stream',
]]);
file_get_contents($url, false, $context);
preg_match('/ (\d+)/', $http_response_header[0], $status);
$reason = preg_grep('/^x-oncegate-reason:/i', $http_response_header);
echo $status[1], ' ', trim(substr(strstr(reset($reason) ?: ':', ':'), 1)), "\n";
