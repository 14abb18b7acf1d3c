package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"oncegate/internal/lean/nearest"
)

// newFlags is a flag set that leaves all talking to its caller.
func newFlags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// helpError asks for the help of a verb, which has these flags.
type helpError struct{ fs *flag.FlagSet }

func (helpError) Error() string { return flag.ErrHelp.Error() }

// parse reads flags that take nothing after them.
func parse(fs *flag.FlagSet, args []string) error {
	words, err := parseWords(fs, args)
	if err == nil && len(words) > 0 {
		err = usagef(fs, "unexpected argument %q", words[0])
	}
	return err
}

// parseWords reads flags and returns what is none, which may stand before, among and
// behind them. After -- nothing is a flag.
func parseWords(fs *flag.FlagSet, args []string) (words []string, err error) {
	var rest []string
	if i := slices.Index(args, "--"); i >= 0 {
		args, rest = args[:i], args[i+1:]
	}
	for {
		switch err := fs.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			return nil, helpError{fs}
		case err != nil:
			return nil, usagef(fs, "%w", plainFlagError(fs, err))
		case fs.NArg() == 0:
			return append(words, rest...), nil
		}
		words, args = append(words, fs.Arg(0)), fs.Args()[1:]
	}
}

// plainFlagError says in the words of this program what package flag says, and which
// flag may have been meant.
func plainFlagError(fs *flag.FlagSet, err error) error {
	if given, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		var names []string
		fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		meant := nearest.Name(given, names)
		switch {
		case meant != "":
			return fmt.Errorf("unknown flag --%s, did you mean --%s", given, meant)
		case len(names) == 0:
			return fmt.Errorf("unknown flag --%s: there are none", given)
		}
		return fmt.Errorf("unknown flag --%s: there are --%s", given, strings.Join(names, ", --"))
	}
	if name, ok := strings.CutPrefix(err.Error(), "flag needs an argument: -"); ok {
		return fmt.Errorf("--%s needs a value", name)
	}
	return err
}
