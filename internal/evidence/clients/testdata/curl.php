<?php
[, $url, $path] = $argv;
$reason = '';
$handle = curl_init($url);
curl_setopt_array($handle, [
    CURLOPT_UPLOAD => true,
    CURLOPT_INFILE => fopen($path, 'rb'),
    CURLOPT_INFILESIZE => filesize($path),
    CURLOPT_RETURNTRANSFER => true,
    CURLOPT_HEADERFUNCTION => function ($handle, $line) use (&$reason) {
        if (stripos($line, 'x-oncegate-reason:') === 0) {
            $reason = trim(substr($line, strlen('x-oncegate-reason:')));
        }
        return strlen($line);
    },
]);
curl_exec($handle);
echo curl_getinfo($handle, CURLINFO_RESPONSE_CODE), ' ', $reason, "\n";
