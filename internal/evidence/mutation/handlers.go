package main

const (
	nodeHandler = "edge/node/index.mjs"
	nodeClient  = "edge/node/http.mjs"
	nodeStub    = "edge/node/regional.mjs"
)

// handlerMutants are what the Node handlers see to themselves: how requests end, which
// connections are used, and what is answered when there is no answer.
var handlerMutants = []mutant{
	{nodeHandler, "all requests go to the bucket", "serverAt(this.#endpoints[endpoint])", "serverAt(this.#endpoints[0])", false},
	{nodeHandler, "the timer of an invocation stays", "        clearTimeout(timer);\n        resolve(result);", "        resolve(result);", false},
	{nodeHandler, "the timers of an ended program stay", "for (const timer of this.#go._scheduledTimeouts.values()) clearTimeout(timer);", removed, false},
	{nodeHandler, "the requests of an ended program stay", "for (const request of this.#requests) request.destroy();", removed, false},
	{nodeHandler, "an ended program is told of an answer", "      if (this.ended) return;\n", removed, false},
	{nodeHandler, "an ended program leaves its invocations waiting", "for (const id of [...this.#waiting.keys()]) this.#settle(id, undefined);", removed, false},
	{nodeHandler, "an ended program goes on", "if (!programs[file] || programs[file].ended)", "if (!programs[file])", false},
	{nodeHandler, "an exit goes unseen", "    if (this.#go.exited) this.end();\n", removed, false},
	{nodeHandler, "a trap goes unseen", "      console.error('oncegate:', error);\n      this.end();", "      console.error('oncegate:', error);", false},
	{nodeHandler, "an invocation may take all its time", "remainingMs - ANSWER_RESERVE_MS", "remainingMs", false},
	{nodeHandler, "no answer passes", "if (!result?.forward?.querystring) return refuse();", "if (!result?.forward?.querystring) return event.Records[0].cf.request;", false},
	{nodeHandler, "a result without a query passes", "if (!result?.forward?.querystring) return refuse();", "if (!result?.forward) return refuse();", false},
	{nodeHandler, "an error passes", "    console.error('oncegate:', error);\n    return refuse();", "    console.error('oncegate:', error);\n    return event.Records[0].cf.request;", false},
	{nodeHandler, "headers stay that the program drops", "for (const name of drop) delete request.headers[name];", removed, false},
	{nodeHandler, "headers are not set", "headers: { ...request.headers, ...set } };", "headers: { ...request.headers } };", false},
	{nodeHandler, "a refusal may be cached", "      'cache-control': [{ value: 'no-store' }],\n", removed, false},
	{nodeHandler, "a refusal of another reason", "'x-oncegate-reason': [{ value: 'internal' }]", "'x-oncegate-reason': [{ value: 'index-unavailable' }]", false},
	{nodeHandler, "a refusal of another status", "    status: '503',", "    status: '500',", false},
	{nodeHandler, "a program that does not start", "if (!ready) throw new Error('the Go program did not start; the lines above say why');", removed, false},
	{nodeHandler, "header text is written as characters", "bytes(at, length), bytes(bodyAt", "text(at, length), bytes(bodyAt", false},

	{nodeStub, "the signing key of yesterday", "if (signingKey.day !== day) {", "if (!signingKey.key) {", false},
	{nodeStub, "the last try decides what ran", "ran ||= error.ran;", "ran = error.ran;", false},
	{nodeStub, "nothing ran", "ran ||= error.ran;", removed, false},
	{nodeStub, "all of it ran", "ran ||= error.ran;", "ran = true;", false},
	{nodeStub, "a failure ran nothing unless it says so", "{ ran = true, again = false", "{ ran = false, again = false", false},
	{nodeStub, "a failure is tried again unless it says so", "again = false, pauseMs", "again = true, pauseMs", false},
	{nodeStub, "what was never sent ran", "fail(error.message, { ran: !unsent, ", "fail(error.message, { ran: true, ", false},
	{nodeStub, "what was sent did not run", "fail(error.message, { ran: !unsent, ", "fail(error.message, { ran: false, ", false},
	{nodeStub, "any connection that dies is tried again", "const dead = request.reusedSocket && DEAD.has(error.code);", "const dead = DEAD.has(error.code);", false},
	{nodeStub, "a dead connection is not tried again", "again: dead || unsent", "again: unsent", false},
	{nodeStub, "what was never sent is not tried again", "again: dead || unsent", "again: dead", false},
	{nodeStub, "what was throttled ran", "fail('throttled', { ran: false, again", "fail('throttled', { again", false},
	{nodeStub, "what was throttled is not tried again", "{ ran: false, again: true, pauseMs: PAUSE_MS }", "{ ran: false, pauseMs: PAUSE_MS }", false},
	{nodeStub, "an error of Lambda ran nothing", "fail(`status ${status}`, { again", "fail(`status ${status}`, { ran: false, again", false},
	{nodeStub, "an error of Lambda is not tried again", "fail(`status ${status}`, { again: true, pauseMs: PAUSE_MS })", "fail(`status ${status}`)", false},
	{nodeStub, "what was not allowed ran", "['x-amzn-errortype']}`, { ran: false });", "['x-amzn-errortype']}`);", false},
	{nodeStub, "an error of the function is an answer", "if (headers['x-amz-function-error']) return fail(`function error: ${headers['x-amz-function-error']}`);", removed, false},
	{nodeStub, "a third try", "if (repeated || !error.again", "if (!error.again", false},
	{nodeStub, "a second try of anything", "if (repeated || !error.again || ", "if (repeated || ", false},
	{nodeStub, "a second try without time for it", " || context.getRemainingTimeInMillis() - error.pauseMs < LEAST_MS) break;", ") break;", false},
	{nodeStub, "a second try does not say so", "{ nonce, repeated, remainingMs", "{ nonce, repeated: false, remainingMs", false},
	{nodeStub, "a second try is another request", "for (let repeated = false; ; repeated = true) {\n", "for (let repeated = false; ; repeated = true) {\n    const nonce = randomBytes(16).toString('hex');\n", false},
	{nodeStub, "nothing is kept for the way back", "limitMs - WAY_BACK_MS", "limitMs", false},
	{nodeStub, "a mint may be spent", "ran && name === 'gate' ? ", "ran ? ", false},
	{nodeStub, "a gate spends nothing", "return refuse(ran && name === 'gate' ? 'claim-unknown' : 'index-unavailable');", "return refuse('index-unavailable');", false},
	{nodeStub, "any error is no answer", "if (!(error instanceof Failure)) throw error;", removed, false},
	{nodeStub, "a result without a query passes", "if (!result?.forward?.querystring) throw", "if (!result?.forward) throw", false},
	{nodeStub, "headers stay that the function drops", "for (const header of drop) delete request.headers[header];", removed, false},
	{nodeStub, "headers are not set", "headers: { ...request.headers, ...set } };", "headers: { ...request.headers } };", false},
	{nodeStub, "the timer of a failure stays", "      clearTimeout(timer);\n      reject", "      reject", false},
	{nodeStub, "the timer of an answer stays", "        clearTimeout(timer);\n        try", "        try", false},
	{nodeStub, "no session token", "...(token && { 'x-amz-security-token': token })", "", false},
	{nodeStub, "a refusal says when to try again though it may be spent", "...(reason === 'index-unavailable' && {", "...({", false},
}
