package cfn

import (
	"slices"
	"testing"
)

// TestAfter: what a resource needs comes before it, however far the need goes. All else may
// come later.
func TestAfter(t *testing.T) {
	s := stack{resources: map[string]resource{
		"A": {Properties: object{"x": object{"Ref": "B"}}},
		"B": {DependsOn: "C"},
		"C": {DependsOn: []any{"D"}},
		"D": {Properties: object{"x": object{"Fn::Sub": "${E.Arn} ${AWS::Region}"}}},
		"E": {},
		"F": {Properties: object{"x": []any{object{"Fn::GetAtt": []any{"A", "Id"}}}}},
		"G": {Properties: object{"x": object{"Ref": "F"}}},
		"H": {},
	}}
	want := []Later{{ID: "F", Needs: true}, {ID: "G", Needs: true}, {ID: "H"}}
	if got := s.after("A"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
