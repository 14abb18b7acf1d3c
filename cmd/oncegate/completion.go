package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// option is a flag of a verb, as a shell completes it.
type option struct {
	name  string
	value bool // another word follows
}

// options returns the flags that the verb reads, by name.
func (v verb) options() (all []option) {
	help, ok := errors.AsType[helpError](v.run(context.Background(), []string{"-h"}, io.Discard, io.Discard))
	if !ok {
		return nil // a test sees to it that each verb says its flags
	}
	help.fs.VisitAll(func(f *flag.Flag) {
		b, isBool := f.Value.(interface{ IsBoolFlag() bool })
		all = append(all, option{f.Name, !isBool || !b.IsBoolFlag()})
	})
	return all
}

// verbNames are all that may stand first, in the order of help.
func verbNames() (names []string) {
	for _, v := range verbs {
		names = append(names, v.name)
	}
	return append(names, "help")
}

// completions are the scripts, by shell.
var completions = map[string]func(io.Writer){"bash": bashCompletion, "fish": fishCompletion, "zsh": zshCompletion}

// completion returns what the shell reads to complete verbs and flags. Every value of a flag
// is completed as a file.
func completion(shell string) (string, error) {
	write := completions[shell]
	if write == nil {
		return "", usageError{fmt.Errorf("--completion is %q: allowed are bash, fish and zsh", shell)}
	}
	var b bytes.Buffer
	write(&b)
	return b.String(), nil
}

// words joins flags, each with its dashes.
func words(all []option) string {
	names := make([]string, len(all))
	for i, o := range all {
		names[i] = "--" + o.name
	}
	return strings.Join(names, " ")
}

// valued are the flags that another word follows.
func valued(all []option) []option {
	return slices.DeleteFunc(slices.Clone(all), func(o option) bool { return !o.value })
}

func bashCompletion(w io.Writer) {
	fmt.Fprintf(w, `# bash completion of oncegate
_oncegate() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} flags= values=
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ] || { [ "$COMP_CWORD" -eq 2 ] && [ "$before" = help ]; }; then
        COMPREPLY=($(compgen -W '%s' -- "$word"))
        return
    fi
    case ${COMP_WORDS[1]} in
`, strings.Join(verbNames(), " "))
	for _, v := range verbs {
		o := v.options()
		fmt.Fprintf(w, "    %s) flags='%s' values='%s' ;;\n", v.name, words(o), words(valued(o)))
	}
	io.WriteString(w, `    esac
    case " $values " in
    *" $before "*) ;;
    *) case $word in -*) COMPREPLY=($(compgen -W "$flags" -- "$word")) ;; esac ;;
    esac
}
complete -o default -F _oncegate oncegate
`)
}

func zshCompletion(w io.Writer) {
	io.WriteString(w, `#compdef oncegate
# zsh completion of oncegate
local -a verbs
verbs=(
`)
	for _, v := range verbs {
		fmt.Fprintf(w, "    '%s:%s'\n", v.name, quoteSingle(strings.ReplaceAll(v.summary, ":", `\:`)))
	}
	io.WriteString(w, `    'help:say more about a verb'
)
if (( CURRENT == 2 )) || [[ CURRENT -eq 3 && $words[2] == help ]]; then
    _describe 'verb' verbs
    return
fi
shift words
(( CURRENT-- ))
case $words[1] in
`)
	for _, v := range verbs {
		fmt.Fprintf(w, "%s)\n    _arguments \\\n", v.name)
		for _, o := range v.options() {
			value := ""
			if o.value {
				value = "=:value:_files"
			}
			fmt.Fprintf(w, "        '*--%s%s' \\\n", o.name, value)
		}
		io.WriteString(w, "        '*:file:_files'\n    ;;\n")
	}
	io.WriteString(w, "esac\n")
}

func fishCompletion(w io.Writer) {
	io.WriteString(w, "# fish completion of oncegate\n")
	for _, v := range verbs {
		fmt.Fprintf(w, "complete -c oncegate -f -n '__fish_use_subcommand' -a %s -d '%s'\n", v.name, quoteSingle(v.summary))
	}
	io.WriteString(w, "complete -c oncegate -f -n '__fish_use_subcommand' -a help -d 'say more about a verb'\n")
	fmt.Fprintf(w, "complete -c oncegate -f -n '__fish_seen_subcommand_from help' -a '%s'\n", strings.Join(verbNames(), " "))
	for _, v := range verbs {
		for _, o := range v.options() {
			value := ""
			if o.value {
				value = " -r"
			}
			fmt.Fprintf(w, "complete -c oncegate -n '__fish_seen_subcommand_from %s' -l %s%s\n", v.name, o.name, value)
		}
	}
}

// quoteSingle is text between single quotes of a shell.
func quoteSingle(text string) string { return strings.ReplaceAll(text, "'", `'\''`) }

// manPage is oncegate(1), with the help of each verb as it is.
func manPage() string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH ONCEGATE 1 \"%s\" \"oncegate %s\" \"oncegate\"\n", strings.SplitN(releaseDate, "T", 2)[0], releaseVersion)
	b.WriteString(`.SH NAME
oncegate \- upload URLs for Amazon S3 that work once
.SH SYNOPSIS
.B oncegate
.I verb
.RI [ flags ]
.RI [ arguments ]
.br
.B oncegate help
.RI [ verb ]
.SH DESCRIPTION
`)
	b.WriteString(roff(overview()))
	for _, v := range verbs {
		fmt.Fprintf(&b, ".SH ONCEGATE %s\n%s", strings.ToUpper(v.name), roff(v.help))
	}
	return b.String()
}

// roff is text that a man page shows as it is. See groff_char(7) for the escapes.
func roff(text string) string {
	var b strings.Builder
	b.WriteString(".nf\n")
	for line := range strings.Lines(text) {
		line = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(line)
		if strings.HasPrefix(line, ".") {
			line = `\&` + line
		}
		b.WriteString(line)
	}
	b.WriteString(".fi\n")
	return b.String()
}

// helpAs prints help in another form: as a man page, or as what a shell completes.
func helpAs(form string, args []string, stdout io.Writer) error {
	text, err := "", error(nil)
	switch {
	case form == "--man" && len(args) == 0:
		text = manPage()
	case form == "--completion" && len(args) == 1:
		text, err = completion(args[0])
	case form == "--man":
		err = usageError{fmt.Errorf("unexpected argument %q", args[0])}
	case form == "--completion":
		err = usageError{errors.New("want oncegate help --completion bash, fish or zsh")}
	default:
		err = usageError{fmt.Errorf("unknown flag %s: there are --completion, --man", form)}
	}
	if err == nil {
		_, err = io.WriteString(stdout, text)
	}
	return err
}
