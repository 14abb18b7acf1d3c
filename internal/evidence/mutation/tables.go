package main

const (
	tableMain    = "internal/dynamo/dynamo.go"
	tableURLs    = "internal/dynamo/index.go"
	tableRecords = "internal/dynamo/records.go"
	tableSlots   = "internal/dynamo/invitations.go"
)

// tableMutants are what DynamoDB's answers mean, and what the conditions of writes are.
var tableMutants = []mutant{
	{tableMain, "any 400 is a condition that failed", "answer.Status == 400 && answer.Code == ConditionFailed {", "answer.Status == 400 {", false},
	{tableMain, "any status goes with a condition that failed", "answer.Status == 400 && answer.Code == ConditionFailed {", "answer.Code == ConditionFailed {", false},
	{tableMain, "every status is good", "case status == 200:", "case status > 0:", false},
	{tableMain, "no connection is dead", "Stale: errors.Is(err, ErrStale), Err: err}", "Err: err}", false},
	{tableMain, "throttling is for ever", "case throttles(code):", "case false:", false},
	{tableMain, "every refusal is throttling", "\t\treturn true\n\t}\n\treturn false", "\t}\n\treturn true", false},
	{tableMain, "a date that makes no sense", "at, err := httpdate.Parse(a.Date)\n\tif err != nil {", "at, err := httpdate.Parse(a.Date)\n\tif at = time.Now(); err == nil {", false},

	{tableURLs, "a mint over another", "Condition: \"attribute_not_exists(valid) OR valid = :valid\",", removed, false},
	{tableURLs, "a mint that comes again is refused", "attribute_not_exists(valid) OR valid = :valid", "attribute_not_exists(valid)", false},
	{tableURLs, "another entry is a mint's own", "case !held:\n\t\treturn time.Time{}, refused", "case !held && false:\n\t\treturn time.Time{}, refused", false},
	{tableURLs, "a URL is forgotten when its time is over", "seconds(demands.Expires.Add(x.keep))", "seconds(demands.Expires)", false},
	{tableURLs, "types are not told apart at their ends", "text(\",\" + demands.Types + \",\")", "text(demands.Types)", false},
	{tableURLs, "a type is part of another", "text(\",\" + terms.Type + \",\")", "text(terms.Type)", false},
	{tableURLs, "a kind is part of another", "text(\",\" + kind + \"/*,\")", "text(kind + \"/*,\")", false},
	{tableURLs, "several types in one", "case strings.Contains(terms.Type, \",\"):", "case false:", false},
	{tableURLs, "tags that nobody may set", "if !terms.Tags {", "if false {", false},
	{tableURLs, "the tags are not noted", "if demands.Tags {", "if false {", false},
	{tableURLs, "no type fits any one", "(types = :any OR attribute_exists(sole))", "(types = :any OR attribute_exists(types))", false},
	{tableURLs, "no type fits none", "(types = :any OR attribute_exists(sole))", "(types = :any)", false},
	{tableURLs, "a spent URL is spent", "AND attribute_not_exists(nonce) AND expires", "AND expires", false},
	{tableURLs, "the last moment is too late", "expires > :now", "expires >= :now", false},
	{tableURLs, "a URL has no time", "expires > :now AND ", removed, false},
	{tableURLs, "the least is too little", "least <= :length", "least < :length", false},
	{tableURLs, "the most is too much", "most >= :length", "most > :length", false},
	{tableURLs, "headers take no room", " AND added <= :room", removed, false},
	{tableURLs, "a sha256 that nobody checks", "if !terms.SHA256 {", "if false {", false},
	{tableURLs, "a claim is not recognised", "\"nonce = :nonce OR (\" + condition + \")\"", "condition", false},
	{tableURLs, "a claim that is there is written over", "claim = if_not_exists(claim, :claim)", "claim = :claim", false},
	{tableURLs, "the winner sees nothing", "Values: values, Return: true,", "Values: values,", false},
	{tableURLs, "a claim without a nonce", "if claim.Nonce == \"\" {", "if false {", false},
	{tableURLs, "what is revoked is used", "== string(onetime.Revoked) {", "== \"\" {", false},
	{tableURLs, "a claim over another", "\"attribute_exists(valid) AND attribute_not_exists(nonce)\"", "\"attribute_exists(valid)\"", false},
	{tableURLs, "a claim of what was not minted", "\"attribute_exists(valid) AND attribute_not_exists(nonce)\"", "\"attribute_not_exists(nonce)\"", false},
	{tableURLs, "what is gone was claimed", "return \"\", onetime.ErrExists\n\t}\n\treturn \"\", onetime.ErrAbsent", "return \"\", onetime.ErrExists\n\t}\n\treturn \"\", onetime.ErrExists", false},

	{tableRecords, "a second multipart upload", "\"attribute_exists(valid) AND attribute_not_exists(parts)\"", "\"attribute_exists(valid)\"", false},
	{tableRecords, "parts of what was not minted", "\"attribute_exists(valid) AND attribute_not_exists(parts)\"", "\"attribute_not_exists(parts)\"", false},
	{tableRecords, "any claim is removed", "Condition: \"nonce = :version\",", "Condition: \"attribute_exists(nonce) OR nonce = :version\",", false},
	{tableRecords, "half of a claim is removed", "REMOVE claim, nonce, why", "REMOVE claim, nonce", false},
	{tableRecords, "any upload is removed", "Condition: \"parts = :version\",", "Condition: \"attribute_exists(parts) OR parts = :version\",", false},
	{tableRecords, "one partition is all", "case i < len(first)-1:", "case false:", false},
	{tableRecords, "a page is all of a partition", "case page.More:\n\t\tnext = page.Last", "case false:\n\t\tnext = page.Last", false},
	{tableRecords, "a list that stands still", "case page.More && (page.Last <= after || page.Last >= begin+last):", "case false:", false},
	{tableRecords, "a list begins anew", "if after > begin {", "if false {", false},
	{tableRecords, "a new key over another", "\"SET body = :body\", Condition: \"attribute_not_exists(body)\", Values", "\"SET body = :body\", Values", false},
	{tableRecords, "what cannot be read is old", "modified := time.Now()", "modified := time.Time{}", false},

	{tableSlots, "a full page has no end", "Max: invite.MaxUploads + 1,", "Max: invite.MaxUploads,", false},
	{tableSlots, "slots may be missing", "if page.More {", "if false {", false},
	{inviteStore, "slots beyond the last", " && n < MaxUploads", removed, false},
	{tableSlots, "a slot over another", "Condition: \"attribute_not_exists(body)\",", removed, false},
	{tableSlots, "a slot that has changed is replaced", "Condition: \"body = :before\",", "Condition: \"attribute_exists(body) OR body = :before\",", false},
	{tableSlots, "a lost slot is won", "onetime.ErrChanged, Update{", "nil, Update{", false},
}
