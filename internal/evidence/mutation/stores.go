package main

const (
	indexMain  = "internal/s3index/s3index.go"
	indexKeys  = "internal/s3index/keys.go"
	indexParts = "internal/s3index/parts.go"
	wire       = "internal/s3wire/s3wire.go"
	wireParts  = "internal/s3wire/parts.go"
	setCache   = "internal/auth/bearer/keys.go"
)

// storeMutants are what S3's answers mean, how its requests are made, and for how long what
// was read is gone by.
var storeMutants = []mutant{
	{indexMain, "a delete marker is an absence", "case errors.Is(err, onetime.ErrAbsent) && answer.DeleteMarker:", "case false:", false},
	{indexMain, "every absence is a delete marker", "case errors.Is(err, onetime.ErrAbsent) && answer.DeleteMarker:", "case errors.Is(err, onetime.ErrAbsent):", false},
	{indexMain, "what is revoked is used", "case answer.Metadata[reasonMetadata] == string(onetime.Revoked):", "case false:", false},
	{indexMain, "a claim over another", "Metadata:    map[string]string{reasonMetadata: string(reason)},\n\t\tIfAbsent:    true,", "Metadata:    map[string]string{reasonMetadata: string(reason)},", false},
	{indexMain, "a claim does not say its reason", "Metadata:    map[string]string{reasonMetadata: string(reason)},\n", removed, false},
	{indexMain, "a bucket that is gone claims", "outcome(\"Claim\", answer, err, claimAnswer)", "outcome(\"Claim\", answer, err, readAnswer)", false},
	{indexMain, "a bucket that is gone mints", "outcome(\"WriteValid\", answer, err, nil)", "outcome(\"WriteValid\", answer, err, readAnswer)", false},
	{indexMain, "a bucket that is gone has no versions", "outcome(op, Answer{Status: page.Status, Code: page.Code}, err, nil); err != nil {\n\t\t\treturn nil, err\n\t\t}\n\t\tfor _, v := range page.Versions {\n\t\t\tif v.Key == key", "outcome(op, Answer{Status: page.Status, Code: page.Code}, err, readAnswer); err != nil {\n\t\t\treturn nil, err\n\t\t}\n\t\tfor _, v := range page.Versions {\n\t\t\tif v.Key == key", false},
	{indexMain, "412 may be tried again", "\tcase 412:\n\t\treturn onetime.ErrExists", "\tcase 412:\n\t\treturn onetime.ErrConflict", false},
	{indexMain, "409 is somebody's claim", "\tcase 409:\n\t\treturn onetime.ErrConflict", "\tcase 409:\n\t\treturn onetime.ErrExists", false},
	{indexMain, "404 is no answer", "if status == 404 {", "if false {", false},
	{indexMain, "403 is an absence", "if status == 404 {", "if status == 404 || status == 403 {", false},
	{indexMain, "every status is good", "case answer.Status == 200:", "case answer.Status > 0:", false},
	{indexMain, "no connection is dead", "Stale: errors.Is(err, ErrStale), Err: err}\n\tcase answer.Status == 200:", "Err: err}\n\tcase answer.Status == 200:", false},
	{indexMain, "versions of longer keys", "if v.Key == key { // a prefix", "if true { // a prefix", false},
	{indexMain, "one page of versions", "if page.Next == nil {\n\t\t\treturn versions, nil", "if true {\n\t\t\treturn versions, nil", false},
	{indexMain, "a list that stands still", "if *page.Next == from {\n\t\t\treturn nil, &onetime.Fault{Op: op, Status: page.Status", "if false {\n\t\t\treturn nil, &onetime.Fault{Op: op, Status: page.Status", false},
	{indexMain, "a list without an end", "for range maxPages {", "for {", false},
	{indexMain, "ten pages are too many", "for range maxPages {", "for range maxPages - 1 {", false},
	{indexMain, "each page has all the time", "left = limit - time.Since(began)", "_ = began", false},
	{indexMain, "a page without time for it", "if left <= 0 {", "if false {", false},
	{indexMain, "a date that makes no sense", "at, err := httpdate.Parse(a.Date)\n\tif err != nil {", "at, err := httpdate.Parse(a.Date)\n\tif at = time.Now(); err == nil {", false},

	{indexKeys, "keys without an end", "if len(ids) > maxKeys {", "if false {", false},
	{indexKeys, "the most keys are too many", "if len(ids) > maxKeys {", "if len(ids) >= maxKeys {", false},
	{indexKeys, "a list of keys that stands still", "if *page.Next == from {", "if false {", false},
	{indexKeys, "a key is told for each version", "if !seen[id] {", "if true {", false},
	{indexKeys, "one page of keys", "if page.Next == nil {", "if true {", false},
	{indexKeys, "a new key over another", ", ContentType: contentType, IfAbsent: true})", ", ContentType: contentType})", false},

	{indexParts, "an upload without an id", "if answer.Upload == \"\" {", "if false {", false},
	{indexParts, "a second parts entry over the first", ", ContentType: contentType, IfAbsent: true})", ", ContentType: contentType})", false},
	{indexParts, "the first page of parts is all", "if answer.More {", "if false {", false},
	{indexParts, "a 412 of Complete is what its code says", "err == nil && definite != nil {", "false {\n\t\t_ = definite", false},
	{indexParts, "a checksum of any length", " || len(sum) != 8 {", " || len(sum) == 0 {", false},
	{indexParts, "204 is no end", "if err == nil && answer.Status == 204 {", "if false {", false},
	{indexParts, "what is gone cannot be dropped", "errors.Is(err, onetime.ErrAbsent) {\n\t\treturn nil", "false {\n\t\treturn nil", false},
	{indexParts, "another's object", " || page.Objects[0].Key != key {", " {", false},
	{indexParts, "a 200 with an error is an object", "case answer.Code == \"\" && answer.Status == 200:", "case answer.Status == 200:", false},
	{indexParts, "an error in a 200 is a refusal", "if answer.Status == 200 {\n\t\tfault.Status = 500", "if false {\n\t\tfault.Status = 500", false},
	{indexParts, "404 is an upload that is gone", "if code == \"NoSuchUpload\" {", "if code == \"NoSuchUpload\" || code == \"NoSuchBucket\" {", false},

	{wire, "an empty body has no length", "if body != nil {", "if len(body) > 0 {", false},
	{wire, "If-None-Match is not sent", "if object.IfAbsent {", "if false {", false},
	{wire, "If-Match is not sent", "if object.IfMatch != \"\" {", "if false {", false},
	{wire, "a delete marker is not read", "reply.Header(\"x-amz-delete-marker\") == \"true\"", "false", false},
	{wire, "a version id is not read", "VersionID:    reply.Header(\"x-amz-version-id\"),\n", removed, false},
	{wire, "metadata is not read", "answer.Metadata[name] = h.Value", "_ = name", false},
	{wire, "the date is not read", "Date:         reply.Header(\"date\"),\n", removed, false},
	{wire, "every body is empty to the signature", "if len(body) > 0 {", "if false {", false},
	{wire, "a page begins at the beginning", "if from != (s3index.Marker{}) {", "if false {", false},
	{wire, "a list of any status", "if err != nil || reply.Status != 200 {\n\t\treturn s3index.Page{", "if err != nil {\n\t\treturn s3index.Page{", false},
	{wire, "uploads are signed without their headers", "signed = append(signed, wire.Header{Name: name, Value: value})", "_, _ = name, value", false},

	{sets, "keys without an end", "if len(list.Members) > maxKeys {", "if false {", false},
	{sets, "the most keys are too many", "if len(list.Members) > maxKeys {", "if len(list.Members) >= maxKeys {", false},
	{sets, "a set of any length", "if len(body) > maxSetBytes {", "if false {", false},
	{sets, "the longest set is too long", "if len(body) > maxSetBytes {", "if len(body) >= maxSetBytes {", false},
	{sets, "an empty set is one", "if len(keys) == 0 {", "if false {", false},
	{sets, "a short RSA key", "bits >= minRSABits && ", removed, false},
	{sets, "a long RSA key", " && bits <= maxRSABits", removed, false},
	{sets, "an even modulus", " && public.N.Bit(0) == 1", removed, false},
	{sets, "a small exponent", "public.E >= 3 && ", removed, false},
	{sets, "an even exponent", " && public.E&1 == 1", removed, false},
	{sets, "a key for another algorithm", "return found, ok && named", "_ = named\n\treturn found, ok", false},
	{sets, "a key for encryption", "use != \"sig\" || ", "use == \"-\" || ", false},
	{sets, "an Ed25519 key of any length", ", ok && len(public) == ed25519.PublicKeySize", ", ok", false},

	{setCache, "a clock that goes back keeps a set", "!now.Before(then) && ", removed, false},
	{setCache, "a set is kept a moment too long", "now.Sub(then) < d", "now.Sub(then) <= d", false},
	{setCache, "a set lives for an hour", "KeysLife = 10 * time.Minute", "KeysLife = time.Hour", false},
	{setCache, "a set is fetched when it has ended", "refreshAge = KeysLife / 2", "refreshAge = KeysLife", false},
	{setCache, "an unknown key has the issuer asked each time", "pause := UnknownKeyPause", "pause := time.Duration(0)", false},
	{setCache, "an issuer that is silent is asked each time", "pause = failurePause", "pause = 0", false},
	{setCache, "a failed fetch keeps the old failure", "if k.failed = err; err == nil {", "if err == nil {", false},
	{setCache, "a set is as new as its answer", "k.set, k.fetched = set, now", "k.set, k.fetched = set, k.now()", false},
	{setCache, "a fetch without time for it", "if limit < leastLimit {", "if false {", false},
	{setCache, "a fetch may take all the time", "min(fetchLimit, deadline.Sub(k.clock.Now())/2)", "deadline.Sub(k.clock.Now())", false},
	{setCache, "any of several keys without an id", "if id == \"\" && len(found) != 1 {", "if false {", false},
	{setCache, "a key of another algorithm", "key.algorithm == algorithm && ", removed, false},

	{holder, "a clock that goes back keeps a key", "now.Before(e.read) || ", removed, false},
	{holder, "a key is kept a moment too long", "now.Sub(e.read) >= c.life {", "now.Sub(e.read) > c.life {", false},
	{holder, "a key is kept for a minute", "KnownLife   = 30 * time.Second", "KnownLife   = 60 * time.Second", false},
	{holder, "a refusal is kept for a minute", "RefusedLife = 10 * time.Second", "RefusedLife = 60 * time.Second", false},
	{holder, "keys without an end", "!ok && len(c.entries) >= maxCached {", "!ok && false {", false},
	{holder, "garbage pushes good keys out", "a.refused.put(id, cached{read: now, cause: cause})", "a.known.put(id, cached{read: now, cause: cause})", false},
	{holder, "the newest key is pushed out", "entry.read.Before(c.entries[oldest].read)", "entry.read.After(c.entries[oldest].read)", false},
	{holder, "an unknown key is a fault", "case errors.Is(err, onetime.ErrAbsent):", "case false:", false},
}
