package bearer

import (
	"errors"
	"fmt"

	"oncegate/internal/lean/strictjson"
	"oncegate/internal/onetime"
)

// What can be wrong with the claim that bounds a token, besides what its members may be.
var (
	errBoundTwice = errors.New("a member is there twice")
	errPerDay     = errors.New("perDay: not for tokens, only for API keys")
	errNoBound    = errors.New("want no member that is 0 or empty; whoever may ask for all leaves it out")
)

// readBounds reads what a token may ask for from its claim, which must be there. Its errors
// quote nothing of the token.
func readBounds(claim strictjson.Value) (onetime.Allowance, error) {
	allows, err := parseBounds(claim)
	if err != nil {
		return onetime.Allowance{}, fmt.Errorf("the claim that the setting boundsClaim names: %w", err)
	}
	return allows, nil
}

func parseBounds(claim strictjson.Value) (onetime.Allowance, error) {
	if _, twice := claim.Twice(); twice {
		return onetime.Allowance{}, errBoundTwice
	}
	for _, m := range claim.Members {
		number, isNumber := m.Int()
		text, isText := m.Text()
		switch {
		case m.Name == "perDay":
			// It is counted for an owner, and each token of one could bring another number.
			return onetime.Allowance{}, errPerDay
		case isNumber && number == 0 || isText && text == "":
			// An allowance takes it for no bound. The issuer may have meant nothing at all.
			return onetime.Allowance{}, errNoBound
		}
	}
	fields := strictjson.Of(claim)
	allows := onetime.ReadAllowance(fields)
	if err := fields.Done(); err != nil {
		return onetime.Allowance{}, err
	}
	return allows, allows.Check()
}
