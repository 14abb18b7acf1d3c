package main

const (
	bearer    = "internal/auth/bearer/bearer.go"
	bounds    = "internal/auth/bearer/bounds.go"
	exact     = "internal/auth/bearer/exact.go"
	sets      = "internal/auth/bearer/jwks.go"
	keys      = "internal/auth/apikey/apikey.go"
	holder    = "internal/auth/apikey/authorizer.go"
	quota     = "internal/onetime/quota.go"
	allowance = "internal/onetime/allowance.go"
	seen      = "internal/lean/text/text.go"
)

// authMutants are what credentials are held to, and what names they may have.
var authMutants = []mutant{
	{bearer, "a header of any names", "if _, err := readExact(t.Raw, 0, headerNames); err != nil {", "if false {\n\t\t\terr := errInexact", false},
	{bearer, "claims in any case", "readExact(token, 1, claimNames)", "readExact(token, 1, nil)", false},
	{bearer, "an extension is ignored", "_, demanded := t.Header[\"crit\"]; demanded {", "_, demanded := t.Header[\"crit\"]; demanded && false {", false},
	{bearer, "a subject of any text", "!text.Name(subject) {", "!text.Visible(subject) {", false},
	{bearer, "a subject of any length", "len(subject) > maxSubjectBytes || ", removed, false},
	{bearer, "an owner is the subject alone", "a.accepted.Issuer, subject))", "\"\", subject))", false},
	{bearer, "issuer and subject run together", "\"%d:%s%s\", len(a.accepted.Issuer), a.accepted.Issuer", "\"%s%s\", a.accepted.Issuer", false},
	{bearer, "a token is a key", "Kind: onetime.CredentialToken", "Kind: onetime.CredentialKey", false},
	{bearer, "a token without bounds may ask for all", "if a.accepted.BoundsClaim != \"\" {", "if exact.Get(a.accepted.BoundsClaim).Kind != 0 {", false},
	{bearer, "a claim that is not named bounds", "if a.accepted.BoundsClaim != \"\" {", "if true {", false},
	{bearer, "bounds of a token that are wrong", "err = readBounds(exact.Get(a.accepted.BoundsClaim)); err != nil {", "err = readBounds(exact.Get(a.accepted.BoundsClaim)); false {", false},
	{bounds, "bounds of a token are not handed on", "return allows, nil", "_ = allows\n\treturn onetime.Allowance{}, nil", false},
	{bounds, "what is there twice is quoted", "_, twice := claim.Twice(); twice {", "false {", false},
	{bounds, "tokens have daily numbers", "case m.Name == \"perDay\":", "case false:", false},
	{bounds, "nothing is no bound", "case isNumber && number == 0 || isText && text == \"\":", "case false && (number == 0 || text == \"\" || isNumber || isText):", false},
	{bounds, "a number of nothing is no bound", "isNumber && number == 0 || ", "isNumber && number == 0 && false || ", false},
	{bounds, "an empty text is no bound", " || isText && text == \"\":", " || isText && text == \"\" && false:", false},
	{bounds, "members that are not known", "if err := fields.Done(); err != nil {", "if err := fields.Done(); false {", false},
	{bounds, "bounds of a token out of all", "return allows, allows.Check()", "return allows, nil", false},
	{exact, "a name stands twice", "if seen[m.Name] {", "if false {", false},
	{exact, "a registered name in another case", "strings.EqualFold(m.Name, name) {", "strings.ToLower(m.Name) == name {", false},
	{sets, "a set of any names", "if !exact(set, setNames) {", "if false {", false},
	{sets, "a key of any names", "ok := exact(v, keyNames)", "ok := true", false},
	{sets, "a key for other operations", " || !mayVerify(v.Get(\"key_ops\")) {", " {", false},
	{keys, "an owner that is no id", "if _, err := ParseID(string(r.Owner)); err != nil {", "if false {\n\t\t\tvar err error", false},
	{keys, "an owner is not written", "w.StringIf(\"owner\", string(r.Owner))\n", removed, false},
	{keys, "a new key takes over nothing", "c.Owner = r.Owner.digits()", "_ = r", false},
	{keys, "a key is as old as time", ", Since: r.Created, ", ", ", false},
	{keys, "a label of any text", "!text.Name(label) {", "!text.Visible(label) {", false},
	{keys, "bounds are not handed on", ", Allows: r.Allows}", "}", false},
	{keys, "bounds out of all", "if err := r.Allows.Check(); err != nil {", "if false {\n\t\tvar err error", false},
	{quota, "any number at once", "if n > most {", "if false {", false},
	{quota, "a day of its own for who takes over", "if by.Owner != \"\" {", "if false {", false},
	{quota, "one day for ever", "day.Format(\"2006-01-02\")", "\"\"", false},
	{quota, "no answer is room", "case err != nil:", "case false:", false},
	{quota, "a full day has room", "case !room:", "case !room && false:", false},
	{quota, "what cannot be counted is free", "if q == nil || q.Tally == nil {\n\t\treturn refuse(", "if q == nil || q.Tally == nil {\n\t\treturn nil\n\t\trefuse(", false},
	{tableRecords, "a day has no bound", "Condition:  \"attribute_not_exists(minted) OR minted <= :room\",", "Condition:  \"attribute_not_exists(minted) OR minted <= :room OR minted > :room\",", false},
	{edgeMint, "orders that are refused count", "if err := minter.Check(order); err != nil {\n\t\t\treturn nil, err\n\t\t}\n\t\tif err := f.Quota", "if err := f.Quota", false},
	{hosts, "invitations beside a daily number", "if by.Allows.PerDay > 0 {", "if false {", false},
	{allowance, "any life", "b.MaxLife = min(b.MaxLife, a.Life)", "_ = b", false},
	{allowance, "the usual life is not shortened", "b.Life = min(b.Life, b.MaxLife)", "_ = b", false},
	{allowance, "uploads of any size", "b.MaxBytes = min(b.MaxBytes, a.MaxBytes)", "_ = b", false},
	{allowance, "smaller uploads", "case a.MinBytes > 0 && o.Limits.MinBytes < a.MinBytes:", "case false:", false},
	{allowance, "the least is not filled in", "o.Limits.MinBytes = a.MinBytes", "_ = a", false},
	{allowance, "the type is not filled in", "o.Limits.Type = a.Type", "_ = a", false},
	{allowance, "any prefix", "case a.Prefix != \"\" && ", "case false && ", false},
	{allowance, "a prefix that only begins so", "a.Prefix+\"/\")", "a.Prefix)", false},
	{allowance, "the prefix is not filled in", "o.Prefix = a.Prefix", "_ = a", false},
	{allowance, "any type", "case a.Type != \"\" && ", "case false && ", false},
	{edgeMint, "a token is called a key", "if by.Kind == onetime.CredentialToken {", "if false {", false},
	{edgeMint, "a key is held to nothing", "f.narrowed(c.by, o.Order)", "f.narrowed(onetime.Credential{}, o.Order)", false},
	{hosts, "a key invites to anything", "if by.Allows == (onetime.Allowance{}) {", "if true {", false},
	{holder, "a revoked key mints", "if !record.Revoked.IsZero() {", "if false {", false},
	{holder, "a key that is gone stays known", "delete(a.known.entries, id)", "_ = id", false},
	{seen, "fillers are seen", "!unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && ", removed, false},
	{seen, "selectors are seen", " && !unicode.Is(unicode.Variation_Selector, r)", removed, false},
	{seen, "blanks are seen", "if r == '\\u2800' || ", "if ", false},
	{seen, "wide spaces name", "if r != ' ' && unicode.IsSpace(r) {", "if r == 0 {", false},
	{seen, "two spaces name", " && !strings.Contains(s, \"  \")", removed, false},
}
