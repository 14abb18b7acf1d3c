package attack

import (
	"fmt"
	"strings"
	"testing"
)

// TestFraming: a request whose body has no clear beginning and end is refused. A second
// request that is hidden in a first one reaches nobody.
func TestFraming(t *testing.T) {
	hidden := "PUT /signatures/expired/@id HTTP/1.1\r\nHost: " + "oncegate-test.s3.us-east-1.amazonaws.com" + "\r\nContent-Length: 1\r\n\r\nx"
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(marker), marker)
	const (
		two     = "two lengths let two readers see two bodies"
		hides   = "a second request, hidden in the first one's body, would reach S3 without the gate"
		unknown = "S3 takes no body of unknown length; the URL would be spent for nothing"
		// Minted URLs begin with the viewer's host.
		nameless  = "a URL without a host leads nowhere, and nobody is to be told that oncegate is broken"
		rebinding = "a page on the web, whose name leads to this machine, would use the local edge as its own"
		old       = "old or odd syntax could bypass a parser of the new one"
	)
	raw := func(lines ...string) string { return strings.Join(lines, "\r\n") }
	all := []attempt{
		{"two lengths", two, edge, raw("PUT @path?@query HTTP/1.1", "Host: @host", "Content-Length: 1", "Content-Length: 14", "", marker), "400"},
		{"two lengths in a line", two, edge, raw("PUT @path?@query HTTP/1.1", "Host: @host", "Content-Length: 1, 14", "", marker), "400"},
		{"length with a sign", two, edge, raw("PUT @path?@query HTTP/1.1", "Host: @host", "Content-Length: +14", "", marker), "400"},
		{"length below zero", two, edge, raw("PUT @path?@query HTTP/1.1", "Host: @host", "Content-Length: -1", "", marker), "400"},
		{"length in hex", two, edge, raw("PUT @path?@query HTTP/1.1", "Host: @host", "Content-Length: 0xe", "", marker), "400"},
		{"length with a point", two, edge, raw("PUT @path?@query HTTP/1.1", "Host: @host", "Content-Length: 14.0", "", marker), "400"},
		{"length with an underscore", two, edge, raw("PUT @path?@query HTTP/1.1", "Host: @host", "Content-Length: 1_4", "", marker), "400"},
		{"length beyond 64 bits", two, edge, raw("PUT @path?@query HTTP/1.1", "Host: @host", "Content-Length: 18446744073709551630", "", marker), "400"},
		{"empty length", two, edge, raw("PUT @path?@query HTTP/1.1", "Host: @host", "Content-Length: ", "", marker), "400"},
		{"length of 5 GiB and a byte", "S3 takes no more in one PUT", edge, raw("PUT @path?@query HTTP/1.1", "Host: @host", "Content-Length: 5368709121", "", marker), "413 too-large"},
		{"no length", unknown, edge, head("PUT", good), "411 length-required"},
		{"chunked", unknown, edge, head("PUT", good, "Transfer-Encoding: chunked") + chunked, "411 length-required"},
		{"chunked with trailers", unknown, edge, head("PUT", good, "Transfer-Encoding: chunked", "Trailer: X-Amz-Acl") + strings.TrimSuffix(chunked, "\r\n") + "X-Amz-Acl: public-read\r\n\r\n", "411 length-required"},
		{"length beside chunked", hides, edge, head("PUT", good, "Content-Length: 5", "Transfer-Encoding: chunked") + "0\r\n\r\n" + hidden, "411 length-required"},
		{"chunked beside length", hides, edge, head("PUT", good, "Transfer-Encoding: chunked", "Content-Length: 5") + "0\r\n\r\n" + hidden, "411 length-required"},
		{"chunked twice", hides, edge, head("PUT", good, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + chunked, "501"},
		{"chunked, identity", hides, edge, head("PUT", good, "Transfer-Encoding: chunked, identity", "Content-Length: 14") + marker, "501"},
		{"xchunked", hides, edge, head("PUT", good, "Transfer-Encoding: xchunked", "Content-Length: 14") + marker, "501"},
		{"identity", hides, edge, head("PUT", good, "Transfer-Encoding: identity", "Content-Length: 14") + marker, "501"},
		{"gzip, chunked", hides, edge, head("PUT", good, "Transfer-Encoding: gzip, chunked") + chunked, "501"},
		{"chunked after a tab", hides, edge, head("PUT", good, "Transfer-Encoding:\tchunked") + chunked, "411 length-required"},
		{"chunked after a vertical tab", hides, edge, head("PUT", good, "Transfer-Encoding: \x0bchunked", "Content-Length: 14") + marker, "400"},
		{"chunked in upper case", hides, edge, head("PUT", good, "Transfer-Encoding: CHUNKED") + chunked, "411 length-required"},
		{"chunk size with a sign", hides, edge, head("PUT", good, "Transfer-Encoding: chunked") + "+e\r\n" + marker + "\r\n0\r\n\r\n", "411 length-required"},
		{"chunk extension with a request", hides, edge, head("PUT", good, "Transfer-Encoding: chunked") + "0;\n" + hidden, "411 length-required"},
		{"space before the colon", hides, edge, head("PUT", good, "Content-Length : 14") + marker, "400"},
		{"space before a name", hides, edge, head("PUT", good, " Content-Length: 14") + marker, "400"},
		{"folded header", hides, edge, head("PUT", good, "X: y\r\n Content-Length: 14") + marker, "411 length-required"},
		{"bare line feeds", hides, edge, "PUT @path?@query&x=1 HTTP/1.1\nHost: @host\nContent-Length: 14\n\n" + marker, "403 unknown"},
		{"bare carriage return", hides, edge, head("PUT", good, "X: y\rContent-Length: 14"), "400"},
		{"NUL in a value", hides, edge, head("PUT", good, "X: y\x00", "Content-Length: 14") + marker, "400"},
		{"NUL in a name", hides, edge, head("PUT", good, "X\x00: y", "Content-Length: 14") + marker, "400"},
		{"name that is not ASCII", hides, edge, head("PUT", good, "Content-Lengtħ: 14"), "400"},
		{"no colon", hides, edge, head("PUT", good, "Content-Length 14"), "400"},
		{"space in the path", hides, edge, "PUT @path x?@query HTTP/1.1\r\nHost: @host\r\n\r\n", "400"},
		{"a request behind a GET", hides, edge, head("GET", "/uploads/x") + hidden, "403 method"},
		{"a request in the body of a refused one", hides, edge, head("PUT", "@path", fmt.Sprintf("Content-Length: %d", len(hidden)+64-len("@id"))) + hidden, "403 unknown"},
		{"a request behind a refused one", hides, edge, request("PUT", "@path") + marker + hidden, "403 unknown"},
		{"two hosts", "the viewer must not choose the host", edge, head("PUT", good, "Host: evil.example", "Content-Length: 14") + marker, "400"},
		{"no host", "the viewer must not choose the host", edge, "PUT @path?@query HTTP/1.1\r\nContent-Length: 14\r\n\r\n" + marker, "400"},
		{"host with a path", "the viewer must not choose the host", edge, "PUT @path?@query HTTP/1.1\r\nHost: a/b\r\nContent-Length: 14\r\n\r\n" + marker, "400"},
		{"absolute target", old, edge, put("http://@host@path?@query"), "400"},
		{"absolute target at S3", old, edge, put("http://oncegate-test.s3.us-east-1.amazonaws.com@path?@query"), "400"},
		{"target of another scheme", old, edge, put("file:///etc/passwd"), "400"},
		{"target without a slash", old, edge, put("uploads/@uuid?@query"), "400"},
		{"HTTP/1.0 without a length", old, edge, "PUT @path?@query HTTP/1.0\r\nHost: @host\r\n\r\n", "411 length-required"},
		{"HTTP/1.0 chunked", old, edge, "PUT @path?@query HTTP/1.0\r\nHost: @host\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked, "411 length-required"},
		{"HTTP/1.0 read", old, edge, "GET /signatures/valid/@id HTTP/1.0\r\nHost: @host\r\n\r\n", "403 method"},
		{"HTTP/1.0 without a host", nameless, edge, "PUT @path?@query HTTP/1.0\r\nContent-Length: 14\r\n\r\n" + marker, "400 header"},
		{"HTTP/1.0 with an empty host", nameless, edge, "PUT @path?@query HTTP/1.0\r\nHost:\r\nContent-Length: 14\r\n\r\n" + marker, "400 header"},
		{"minting without a host", nameless, edge, "GET /url HTTP/1.0\r\n\r\n", "400 header"},
		{"minting with a host that ends a URL", nameless, edge, "GET /url HTTP/1.0\r\nHost: localhost:\r\n\r\n", "400 header"},
		{"minting for a page", rebinding, edge, "GET /url HTTP/1.1\r\nHost: rebind.example\r\nOrigin: http://rebind.example\r\n\r\n", "421"},
		{"uploading for a page", rebinding, edge, "PUT @path?@query HTTP/1.1\r\nHost: rebind.example:8080\r\nContent-Length: 14\r\n\r\n" + marker, "421"},
		{"HTTP/0.9", old, edge, "GET /signatures/valid/@id\r\n\r\n", "400"},
		{"HTTP/2 preface", old, edge, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"},
		{"HTTP/1.2", old, edge, "PUT @path HTTP/1.2\r\nHost: @host\r\nContent-Length: 14\r\n\r\n" + marker, "403 unknown"},
		{"HTTP/3.0", old, edge, "PUT @path?@query HTTP/3.0\r\nHost: @host\r\nContent-Length: 14\r\n\r\n" + marker, "505"},
		{"header of 40 KB", "CloudFront refuses what is too large", edge, head("PUT", good, "X: "+strings.Repeat("a", 40<<10), "Content-Length: 14") + marker, "413"},
	}
	newField(t).all(t, all)
}
