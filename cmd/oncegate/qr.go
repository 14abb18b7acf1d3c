package main

import (
	"fmt"
	"io"
	"strings"

	"rsc.io/qr"
)

// quiet is how many light modules are around a QR code: ISO/IEC 18004 wants four.
const quiet = 4

// drawQR draws a QR code with half blocks, two rows of modules on a line. On a terminal it
// is black on white whatever the colours there are, as scanners want it.
func drawQR(w io.Writer, text string) error {
	code, err := qr.Encode(text, qr.L) // the fewest modules, for a terminal is small
	if err != nil {
		return fmt.Errorf("draw the QR code: %w", err)
	}
	before, after := "", ""
	if f, ok := terminal(w); ok {
		w, before, after = f, "\x1b[30;107m", "\x1b[0m"
	}
	var b strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		b.WriteString(before)
		for x := -quiet; x < code.Size+quiet; x++ {
			switch above, below := code.Black(x, y), code.Black(x, y+1); {
			case above && below:
				b.WriteRune('█')
			case above:
				b.WriteRune('▀')
			case below:
				b.WriteRune('▄')
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteString(after + "\n")
	}
	_, err = io.WriteString(w, b.String())
	return err
}
