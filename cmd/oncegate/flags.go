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

// newFlags returns a flag set that prints nothing itself.
func newFlags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// helpError means that somebody asked for the help of a verb. fs has the verb's flags.
type helpError struct{ fs *flag.FlagSet }

func (helpError) Error() string { return flag.ErrHelp.Error() }

// parse reads the flags of a verb that takes nothing else.
func parse(fs *flag.FlagSet, args []string) error {
	words, err := parseWords(fs, args)
	if err == nil && len(words) > 0 {
		err = usagef(fs, "unexpected argument %q", words[0])
	}
	return err
}

// parseWords reads flags and returns the other arguments, which may stand before, between
// and after them. After -- nothing is a flag.
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

// plainFlagError rewrites an error of package flag, and suggests the flag that was
// probably meant.
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

// flagged returns the first of these flags, in their order in the set, that was given, or "".
func flagged(fs *flag.FlagSet, names ...string) string {
	given := ""
	fs.Visit(func(f *flag.Flag) {
		if given == "" && slices.Contains(names, f.Name) {
			given = f.Name
		}
	})
	return given
}
