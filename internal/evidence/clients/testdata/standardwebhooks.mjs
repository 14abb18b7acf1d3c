// Verifies posts with the published verifier of Standard Webhooks, each with its secret:
// node standardwebhooks.mjs posts.json. Prints for each 'taken' or why it is not.
import { readFileSync } from 'node:fs';
import { Webhook } from 'standardwebhooks';

for (const { secret, headers, body } of JSON.parse(readFileSync(process.argv[2], 'utf8'))) {
  try {
    new Webhook(secret).verify(body, headers);
    console.log('taken');
  } catch (error) {
    console.log(error.message);
  }
}
