package cloudfront

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// answersFor reports whether a viewer that has sent this Host is answered. A page on the
// web can have its own name lead to 127.0.0.1 and then ask the local edge for URLs as if
// that were its own site (DNS rebinding); but its browser sends the page's name. So what is
// answered is a name of this machine, whatever the port, or one of Options.Hosts. Without a
// Host, which no browser leaves out, the request is the functions' to refuse.
func (s *Server) answersFor(host string) bool {
	if host == "" {
		return true
	}
	name := hostName(host)
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || slices.Contains(s.hosts, name) {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.IsLoopback()
}

// hostName is the name or address of a Host header, in lower case, without port and
// brackets.
func hostName(host string) string {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// misdirected is the answer of the local edge to a viewer that it does not answer.
func (s *Server) misdirected(w http.ResponseWriter, r *http.Request, id string) {
	s.page(w, r, id, http.StatusMisdirectedRequest, xCacheError, "The local edge answers for localhost and 127.0.0.1 only, so that no page "+
		"on the web can use it under a name of its own. To have another name answered, start it by: bin/oncegate dev --host NAME")
}
