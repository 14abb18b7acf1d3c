//go:build !js

package tree

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"strconv"
	"strings"
	"testing"

	"oncegate/internal/layout"
)

// TestKeysAreSpelledOnce: where things lie in the bucket is said in package layout.
// Tests may spell keys again, so that a renamed key is noticed. So may verify where it
// respells the path of a URL, and the routes, whose paths are no keys.
func TestKeysAreSpelledOnce(t *testing.T) {
	spelled := 0
	walk(t, func(name string, text []byte) {
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "internal/evidence/") {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
		if err != nil {
			t.Error(err)
			return
		}
		ast.Inspect(file, func(node ast.Node) bool {
			literal, ok := node.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			value, _ := strconv.Unquote(literal.Value) // the parser has seen to it
			for _, prefix := range []string{layout.Index, layout.Uploads, layout.Accepted, layout.APIKeys, layout.Invitations} {
				if !strings.HasPrefix(strings.TrimPrefix(value, "/"), prefix) {
					continue
				}
				spelled++
				if path.Dir(name) != "internal/layout" && name != "internal/verify/refusals.go" && name != "edge/routes.go" {
					t.Errorf("%s spells %s: package layout has it", name, literal.Value)
				}
			}
			return true
		})
	})
	if spelled == 0 {
		t.Error("no key is spelled: the tree was not read")
	}
}
