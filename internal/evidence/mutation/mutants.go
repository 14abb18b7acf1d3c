package main

import "slices"

const (
	gate       = "internal/onetime/gate.go"
	claim      = "internal/onetime/claim.go"
	put        = "internal/onetime/put.go"
	headers    = "internal/onetime/headers.go"
	url        = "internal/onetime/url.go"
	spelling   = "internal/onetime/spelling.go"
	budget     = "internal/onetime/budget.go"
	index      = "internal/onetime/index.go"
	mint       = "internal/onetime/mint.go"
	clocks     = "internal/onetime/clocks.go"
	entry      = "internal/onetime/entry.go"
	edge       = "edge/edge.go"
	edgeLog    = "edge/log.go"
	edgeCall   = "edge/call.go"
	edgeHost   = "edge/host.go"
	edgeMint   = "edge/mint.go"
	edgeUpload = "edge/upload.go"
	routes     = "edge/routes.go"
	rule       = "internal/onetime/onetime.go"
	edgeJSON   = "edge/json.go"
	reader     = "internal/lean/strictjson/strictjson.go"
	refuse     = "edge/refusals.go"
	cors       = "edge/cors.go"
	answers    = "edge/answers.go"
	owners     = "edge/owner.go"
	limits     = "internal/onetime/limits.go"
	order      = "internal/onetime/order.go"
	metaPairs  = "internal/onetime/meta.go"
	anyPairs   = "internal/onetime/pairs.go"
	tagPairs   = "internal/onetime/tags.go"
	tagNames   = "internal/layout/tag.go"
	keyNames   = "internal/layout/prefix.go"
	removed    = "" // the new text of what is simply removed
)

// mutants are all of them, in the order of the rules.
var mutants = slices.Concat(gateMutants, spendMutants, ruleMutants, headerMutants, operatorMutants, edgeMutants, acceptanceMutants, authMutants,
	multipartMutants, companionMutants, guestMutants, slotMutants, bucketSlotMutants, signatureMutants, templateMutants, existingMutants, pageMutants, handlerMutants, clientMutants, storeMutants, tableMutants, moveMutants)

// gateMutants are the rows of the protocol's table and what connects them.
var gateMutants = []mutant{
	{gate, "step 1 is not asked", "if err == nil {\n\t\tpass, err = g.spend", "if true {\n\t\tpass, err = g.spend", false},
	{gate, "look-ups are not asked", "claimBy.Add(-writeLimit-readBackLimit))\n\tif err != nil {", "claimBy.Add(-writeLimit-readBackLimit))\n\tif false {", true},
	{gate, "look-ups leave the claim no time", "claimBy.Add(-writeLimit-readBackLimit))", "claimBy)", false},
	{gate, "the limits are not asked", "if err := entry.Limits.within(g.MaxBytes).checkUpload(length, put.Headers); err != nil {", "if err := entry.Limits.within(g.MaxBytes).checkUpload(length, put.Headers); false {", false},
	{gate, "a sha256 that CloudFront does not forward", "if entry.Limits.SHA256 != \"\" && !g.SHA256 {", "if false {", false},
	{gate, "a sha256 is not signed", "if entry.Limits.SHA256 != \"\" {", "if false {", false},
	{gate, "what the gate adds is not measured", "return add, put.checkSizes(add.plain)", "return add, nil", false},
	{gate, "the type is not set", "if t := entry.Limits.OnlyType(); t != \"\" && viewer.Values(\"content-type\") == nil {", "if t := \"\"; false {", false},
	{gate, "the name is not set", "if entry.Name != \"\" {", "if false {", false},
	{gate, "a name is a signed header", "plain[\"content-disposition\"] = disposition(entry.Name)", "signed[\"content-disposition\"] = disposition(entry.Name)", false},
	{gate, "an unknown firstVersion is conditional", "return g.FirstVersion != Conditional", "return g.FirstVersion == Listed", false},
	{gate, "the list gets no time", "return deadline.Add(-readBackLimit)", "return deadline", false},
	{gate, "a failed claim is ignored", "put.Attempt, claimBy)\n\tif err == nil {\n\t\terr =", "put.Attempt, claimBy)\n\tif true {\n\t\terr =", true},
	{gate, "a claim for an upload revokes", "ExpiredEntry{Reason: Used, Request", "ExpiredEntry{Reason: Revoked, Request", true},
	{gate, "a used URL is claimed again by anybody", "case usedErr == nil && attempt.Repeated:", "case usedErr == nil:\n\tcase false:", false},
	{gate, "a repeated request finds itself used", "case usedErr == nil && attempt.Repeated:", "case false:", false},
	{gate, "a repeated request may have spent nothing", "if put.Attempt.Repeated && refusal.Reason == IndexUnavailable {", "if false {", false},
	{gate, "no list", "if !g.listed() {", "if true {", true},
	{gate, "the list's verdict is ignored", "return g.checkFirst(ctx, id, version, deadline)", "g.checkFirst(ctx, id, version, deadline)\n\treturn nil", true},
	{gate, "writeOnce does nothing", "if g.WriteOnce {", "if false {", false},
	{gate, "writeOnce always", "if g.WriteOnce {", "if true {", false},
	{gate, "no storage class", "if g.StorageClass != \"\" {", "if false {", false},
	{gate, "a storage class that was not set", "if g.StorageClass != \"\" {", "if true {", false},
	{gate, "a storage class that is not signed", "signed[\"x-amz-storage-class\"] =", "plain[\"x-amz-storage-class\"] =", false},
	{gate, "passes without an upload signature", "if err != nil {\n\t\treturn Pass{}, refuse(ClaimUnknown, fmt.Errorf(\"sign", "if false {\n\t\treturn Pass{}, refuse(ClaimUnknown, fmt.Errorf(\"sign", false},
	{gate, "no signature, and the client may try again", "refuse(ClaimUnknown, fmt.Errorf(\"sign", "refuse(IndexUnavailable, fmt.Errorf(\"sign", false},
	{gate, "upload signature lives for an hour", "uploadLife = 60 * time.Second", "uploadLife = 3600 * time.Second", false},
	{gate, "a refusal does not name the fingerprint", "refusal.ID = url.ID", "refusal.ID = \"\"", false},

	{gate, "valid 404 goes on", "case errors.Is(validErr, ErrAbsent):\n\t\treturn found{}, refuse(Unknown, nil)", "case errors.Is(validErr, ErrAbsent):\n\t\tbody = ValidEntry{Version: 1, Created: g.Clock.Now(), Expires: g.Clock.Now().Add(time.Hour), Key: key}.Marshal()", true},
	{gate, "valid 404 is unavailable", "refuse(Unknown, nil)", "refuse(IndexUnavailable, nil)", true},
	{gate, "valid unclear is unknown", "refuse(IndexUnavailable, fmt.Errorf(\"read valid entry", "refuse(Unknown, fmt.Errorf(\"read valid entry", true},
	{gate, "valid unclear goes on", "case validErr != nil:\n\t\treturn found{}, refuse(IndexUnavailable, fmt.Errorf(\"read valid entry: %w\", validErr))", "case validErr != nil:\n\t\tbody = ValidEntry{Version: 1, Created: g.Clock.Now(), Expires: g.Clock.Now().Add(time.Hour), Key: key}.Marshal()", true},
	{gate, "revoked is used", "refuse(Revoked, nil)", "refuse(Used, nil)", true},
	{gate, "expired 200 goes on", "case usedErr == nil:\n\t\treturn found{}, refuse(Used, nil)", "case usedErr == nil:", true},
	{gate, "expired 200 revoked goes on", "case usedErr == nil && spent == Revoked:\n\t\treturn found{}, refuse(Revoked, nil)\n\tcase usedErr == nil && attempt", "case usedErr == nil && spent == Revoked:\n\tcase usedErr == nil && attempt", true},
	{gate, "a delete marker goes on", "case errors.Is(usedErr, ErrDeleted):\n\t\treturn found{}, refuse(Used, usedErr)", "case errors.Is(usedErr, ErrDeleted):", true},
	{gate, "expired unclear goes on", "case !errors.Is(usedErr, ErrAbsent):", "case false:", true},
	{gate, "a valid entry that does not parse goes on", "entry, err := entryFor(body, key)\n\tif err != nil {", "entry, err := entryFor(body, key)\n\tif false {", false},
	{gate, "a valid entry of another object goes on", "if err == nil && entry.Key != key {", "if false {", false},

	{clocks, "clocks are not compared", "return compareClocks(asked, at, clock.Now())", "_, _ = asked, at\n\treturn nil", true},
	{clocks, "clocks may be ten minutes apart", "clockTolerance = 30 * time.Second", "clockTolerance = 600 * time.Second", true},
	{clocks, "clocks must agree to the second", "clockTolerance = 30 * time.Second", "clockTolerance = 0 * time.Second", false},
	{clocks, "a clock ahead is taken for one behind", "ahead := asked.Sub(at);", "ahead := at.Sub(asked);", true},
	{clocks, "a clock may be ahead", "ahead >= clockTolerance+time.Second {", "false {", true},
	{clocks, "a clock may be a second further ahead", "ahead >= clockTolerance+time.Second {", "ahead > clockTolerance+time.Second {", false},
	{clocks, "a date must not be a second old", "ahead >= clockTolerance+time.Second {", "ahead >= clockTolerance {", false},
	{clocks, "a clock may be behind", "behind > clockTolerance {", "false {", false},
	{clocks, "a slow answer is a clock behind", "behind := at.Sub(answered);", "behind := at.Sub(asked);", false},
	{clocks, "a slow answer is a clock ahead", "asked := clock.Now()\n\tat, err := request()", "at, err := request()\n\tasked := clock.Now()", false},
	{clocks, "an answer needs no date", "if at.IsZero() {\n\t\treturn errNoDate", "if at.IsZero() {\n\t\treturn nil", false},
	{mint, "a mint's clock is not compared", "return dated(m.Clock, func() (time.Time, error) { return m.Index.WriteValid(ctx, limit, minted.ID, valid) })", "_, err := m.Index.WriteValid(ctx, limit, minted.ID, valid)\n\t\t\treturn err", false},
	{gate, "the upload is signed by the clock here", "PresignUpload(ctx, key, add.signed, add.metadata, at, uploadLife)", "PresignUpload(ctx, key, add.signed, add.metadata, g.Clock.Now(), uploadLife)", false},

	{budget, "a panic of the look-up ends the process", "defer func() { panicked = recover() }()", removed, false},
	{budget, "a panic of the look-up is forgotten", "if panicked != nil {", "if false {", false},
	{budget, "the look-ups come one after the other", "\tdefer func() { <-done }()", "\t<-done\n\tdefer func() { <-done }()", false},

	{claim, "the claim's nonce is always the same", "if entry.Nonce, err = randomHex(c.entropy, nonceBytes); err != nil {", "if entry.Nonce = \"00112233445566778899aabbccddeeff\"; err != nil {", true},
	{claim, "a caller's nonce is not used", "c.clock.Now().UTC(), attempt.Nonce", "c.clock.Now().UTC(), \"\"", false},
	{claim, "a repeated request does not know its claim", "unanswered := attempt.Repeated", "unanswered := false", false},
	{claim, "a nonce of 8 bits", "nonceBytes = 16", "nonceBytes = 1", false},
	{claim, "no nonce, and no refusal", "err != nil {\n\t\t\treturn ExpiredEntry{}, refuse(Internal, err)", "false {\n\t\t\treturn ExpiredEntry{}, refuse(Internal, err)", false},
	{claim, "the claim is for another reason", "limit, id, entry.Reason, body)", "limit, id, Used, body)", true},
	{gate, "the claim does not name its request", "{Reason: Used, Request: put.Request}", "{Reason: Used}", false},
	{claim, "no answer counts as an answer", "unanswered = true", "_ = unanswered", true},
	{claim, "a claim begins without time for it", "deadline.Add(-c.readBack), c.write, c.write,", "deadline.Add(-c.readBack), leastLimit, c.write,", false},
	{claim, "a claim leaves the read-back no time", "deadline.Add(-c.readBack), c.write, c.write,", "deadline, c.write, c.write,", false},
	{claim, "a claim not begun is unknown", "case errors.Is(err, errNoTime):\n", "case false:\n", true},
	{claim, "412 passes", "case errors.Is(err, ErrExists) && !unanswered:\n\t\treturn ExpiredEntry{}, \"\", refuse(Used, nil)", "case errors.Is(err, ErrExists) && !unanswered:\n\t\treturn entry, \"v1\", nil", true},
	{claim, "412 after no answer is used", "return c.recognise(ctx, id, entry.Nonce, deadline)", "return ExpiredEntry{}, \"\", refuse(Used, nil)", true},
	{claim, "412 after no answer passes", "return c.recognise(ctx, id, entry.Nonce, deadline)", "return entry, \"v1\", nil", true},
	{claim, "an unclear claim passes", "default:\n\t\treturn ExpiredEntry{}, \"\", refuse(ClaimUnknown, fmt.Errorf(\"claim: %w\", err))", "default:\n\t\treturn entry, \"v1\", nil", true},
	{claim, "an unclear claim may be tried again", "refuse(ClaimUnknown, fmt.Errorf(\"claim: %w\", err))", "refuse(IndexUnavailable, fmt.Errorf(\"claim: %w\", err))", true},
	{claim, "an unclear read-back passes", "if err != nil {\n\t\treturn ExpiredEntry{}, \"\", refuse(ClaimUnknown, fmt.Errorf(\"read the claim back", "if err != nil {\n\t\treturn entry, \"v1\", nil\n\t}\n\tif false {\n\t\treturn ExpiredEntry{}, \"\", refuse(ClaimUnknown, fmt.Errorf(\"read the claim back", true},
	{claim, "an unreadable claim passes", "case err != nil:\n\t\treturn ExpiredEntry{}, \"\", refuse(ClaimUnknown, fmt.Errorf(\"read the claim back", "case err != nil:\n\t\treturn entry, version, nil\n\tcase false:\n\t\treturn ExpiredEntry{}, \"\", refuse(ClaimUnknown, fmt.Errorf(\"read the claim back", false},
	{claim, "another's claim passes", "case entry.Nonce != nonce:", "case false:", true},
	{claim, "another's claim is always used", "refuse(entry.Reason, errors.New(\"somebody", "refuse(Used, errors.New(\"somebody", true},

	{gate, "a bucket without versions passes", "if version == \"\" || version", "if version", false},
	{gate, "a bucket whose versioning is suspended passes", " || version == \"null\"", removed, false},
	{gate, "lowered maxBytes do not bind old URLs", "entry.Limits.within(g.MaxBytes).", "entry.Limits.within(0).", false},
	{limits, "the settings widen a URL's limit", "l.MaxBytes = min(l.most(), most)", "l.MaxBytes = most", false},
	{gate, "an unclear list passes", "if err != nil {\n\t\treturn refuse(ClaimUnknown, fmt.Errorf(\"list the claim's versions: %w", "if err != nil {\n\t\treturn nil\n\t}\n\tif false {\n\t\treturn refuse(ClaimUnknown, fmt.Errorf(\"list the claim's versions: %w", true},
	{gate, "an empty list passes", "return refuse(ClaimUnknown, errors.New(\"list the claim's versions: none\"))", "return nil", true},
	{gate, "a delete marker in the list passes", "if v.DeleteMarker {", "if v.DeleteMarker && false {", true},
	{gate, "any version in the list passes", "if versions[len(versions)-1].ID != version {", "if false {", true},
	{gate, "the newest version passes", "if versions[len(versions)-1].ID != version {", "if versions[0].ID != version {", true},

	{index, "409 is not tried again", "return errors.Is(err, ErrConflict) || ok", "return ok", true},
	{budget, "a definite answer is asked for again", "if !Repeatable(last) {", "if false {", false},
	{budget, "one try", "maxTries = 3", "maxTries = 1", true},
	{budget, "a fourth try", "maxTries = 3", "maxTries = 4", false},
	{budget, "a pause may outlast the deadline", "if until.Sub(r.clock.Now()) < least+pauseUnit<<(try-1) {", "if false {", false},
	{budget, "an ended invocation goes on", "if err := r.pause(ctx, try); err != nil {", "if err := r.pause(ctx, try); err != nil && false {", false},
	{budget, "a dead connection is waited for", "!ok || !fault.Stale {", "true || !ok || !fault.Stale {", false},
	{budget, "a request begins without time for it", "if left < least {", "if false {", false},
	{budget, "a request may outlast the deadline", "request(min(limit, left))", "request(limit)", false},
	{budget, "a request has no limit of its own", "request(min(limit, left))", "request(left)", false},
	{budget, "no pause", "return r.clock.Sleep(ctx, longest*time.Duration(b[0])/256)", "return r.clock.Sleep(ctx, 0*longest)", false},
	{budget, "no random bytes, and no error", "return \"\", fmt.Errorf(\"read random bytes: %w\", err)", "_ = fmt.Errorf(\"read random bytes: %w\", err)\n\t\treturn hex.EncodeToString(b), nil", false},
}
