package main

const signer = "internal/lean/sigv4/sigv4.go"

// signatureMutants are the rules by which requests to S3 are signed.
var signatureMutants = []mutant{
	{signer, "the signing key of yesterday", "if s.day != day {", "if s.day == \"\" {", false},
	{signer, "a signing key of another day", "for _, part := range []string{day, s.region", "for _, part := range []string{day[:6], s.region", false},
	{signer, "values of equal names in any order", " || a.Name == b.Name && a.Value < b.Value", removed, false},
	{signer, "parameters in any order", "return a.Name < b.Name || a.Name == b.Name && a.Value < b.Value", "return false && b.Name == a.Name", false},
	{signer, "headers in any order", "func(a, b Pair) bool { return a.Name < b.Name })\n\treturn all", "func(a, b Pair) bool { return false })\n\treturn all", false},
	{signer, "a header's values change places", "return a.Name < b.Name })\n\treturn all", "return a.Name <= b.Name })\n\treturn all", false},
	{signer, "a name is signed for each value", "if i > 0 && h.Name == headers[i-1].Name {\n\t\t\tcontinue", "if false {\n\t\t\tcontinue", false},
	{signer, "values of one name are not joined", "if i > 0 && h.Name == headers[i-1].Name {\n\t\t\tb[len(b)-1]", "if i < 0 {\n\t\t\tb[len(b)-1]", false},
	{signer, "spaces at the ends are signed", "s = strings.TrimSpace(s)\n", removed, false},
	{signer, "several spaces are signed", "for strings.Contains(s, \"  \") {", "for false {", false},
	{signer, "no session token in headers", "if s.credentials.SessionToken != \"\" {", "if false {", false},
	{signer, "no session token in queries", "if s.escapedToken != \"\" {", "if false {", false},
	{signer, "an empty session token in queries", "if s.escapedToken != \"\" {", "if true {", false},
	{signer, "a date that is none", "if Date(t) == s {", "if true {", false},
	{signer, "reserved bytes are not escaped", " || c == '~' {", " || c == '~' || c == '/' {", false},
	{signer, "an unreserved byte is escaped", " || c == '~' {", " {", false},
}
