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

// values are those of the parameters, which a deploy gives or which are their defaults.
func (p pinned) values(given map[string]string) map[string]string {
	values := map[string]string{}
	for name, parameter := range p.Parameters {
		if value, ok := given[name]; ok {
			values[name] = value
		} else if value, ok := parameter.Default.(string); ok {
			values[name] = value
		}
	}
	return values
}

// pins reads the rules that hold a parameter to one value, always.
func (p pinned) pins(values map[string]string) map[string]Pin {
	pins := map[string]Pin{}
	for name, first := range values {
		pins[name] = Pin{First: first}
	}
	for _, rule := range p.Rules {
		for _, a := range rule.Assertions {
			sides, _ := a.Assert["Fn::Equals"].([]any)
			if len(a.Assert) != 1 || len(sides) != 2 || rule.RuleCondition != nil {
				continue
			}
			ref, _ := sides[0].(map[string]any)
			name, _ := ref["Ref"].(string)
			want, isText := sides[1].(string)
			if other, ok := sides[1].(map[string]any); !isText && ok && len(other) == 1 {
				id, _ := other["Ref"].(string)
				want = values[id]
			}
			if pin, ok := pins[name]; ok && len(ref) == 1 {
				pin.Want = want
				pins[name] = pin
			}
		}
	}
	return pins
}
