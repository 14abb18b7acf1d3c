package cfn

// Pin is a parameter of a stack with the value that a rule of the template asks for.
// CloudFormation refuses a deploy of a stack whose parameter has another value, which is the
// one that the first deploy gave it.
type Pin struct {
	First string // what the parameter gets if it has no value yet
	Want  string // what the rule compares it with; empty for no rule
}

// pinned is the part of a template that pins are made of.
type pinned struct {
	Parameters map[string]struct{ Default any }
	Rules      map[string]struct {
		RuleCondition any
		Assertions    []struct{ Assert map[string]any }
	}
}

// pins reads the rules that hold a parameter to one value, always.
func (p pinned) pins() map[string]Pin {
	pins := map[string]Pin{}
	for name, parameter := range p.Parameters {
		if first, ok := parameter.Default.(string); ok {
			pins[name] = Pin{First: first}
		}
	}
	for _, rule := range p.Rules {
		for _, a := range rule.Assertions {
			sides, _ := a.Assert["Fn::Equals"].([]any)
			if len(a.Assert) != 1 || len(sides) != 2 || rule.RuleCondition != nil {
				continue
			}
			ref, _ := sides[0].(map[string]any)
			name, _ := ref["Ref"].(string)
			want, _ := sides[1].(string)
			if pin, ok := pins[name]; ok && len(ref) == 1 {
				pin.Want = want
				pins[name] = pin
			}
		}
	}
	return pins
}
