<?php
// A mistake that is often made: an array makes curl send a form.
[, $url, $path] = $argv;
$reason = '';
$handle = curl_init($url);
curl_setopt_array($handle, [
    CURLOPT_CUSTOMREQUEST => 'PUT',
    CURLOPT_POSTFIELDS => ['file' => new CURLFile($path)],
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
