package main

const companion = "edge/companion.go"

// companionMutants are about Uppy's requests.
var companionMutants = []mutant{
	{companion, "any text is an uploadId", "if err != nil || !ok {\n\t\treturn onetime.URL{}", "if !ok && err == nil {\n\t\treturn onetime.URL{}", false},
	{companion, "any key", "|| query[\"key\"][0] != url.Key {", "{", false},
	{companion, "a key and more", "len(query) != 1 || ", "", false},
	{companion, "the URL in the address may be another", "if c.endpoint != \"\" && c.endpoint != values[0] {", "if false {", false},
	{companion, "an upload without parts is no upload", "if err != nil && onetime.ReasonOf(err) != onetime.NotStarted {", "if err != nil {", false},
	{companion, "long lists go out as they are", "if len(body) > maxPlainBytes {", "if false {", false},
	{companion, "the parts that were named are not asked", "operation += \"&etag=\" + etag", "_ = etag", false},
	{companion, "a long body is refused", "if c.request.Body == nil || !c.request.Body.InputTruncated {", "if true {", false},
	{companion, "quotes belong to a part's ETag", "strings.Trim(etag, `\"`)}", "etag}", false},
	{companion, "not stored is stored", "if !done.Stored {", "if false {", false},
	{companion, "a file's name must be a name", "if f.Minter.Check(onetime.Order{Name: o.Name}) != nil {", "if false {", false},
	{companion, "a file of many types", "if r.wrong || strings.ContainsAny(o.Limits.Type, \",*\") {", "if r.wrong {", false},
	{companion, "a file's name of any form", "if r.wrong || strings", "if strings", false},
	{parts, "parts that are named in any order", "if part.Number != 1+i {", "if part.Number < i {", false},
	{parts, "parts that are named without an ETag", "if !isETag(part.ETag) {", "if false {", false},
	{parts, "no parts are named", "if len(parts) == 0 {\n\t\treturn \"\", refuseIncomplete(\"parts: want at least one\")", "if false {\n\t\treturn \"\", refuseIncomplete(\"parts: want at least one\")", false},
	{routes, "Uppy creates without a credential", "handle: (*Functions).create, credential: true", "handle: (*Functions).create", false},
}
