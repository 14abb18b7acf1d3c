// Package httpdate reads dates as HTTP sends them.
package httpdate

import (
	"errors"
	"time"
)

// dateForm is the one form in which HTTP sends dates
// (https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7).
const dateForm = "Www, DD Mmm YYYY hh:mm:ss GMT"

// Parse reads a date as HTTP sends it. Package time would do it in a twentieth of all
// the code that a cold start compiles.
func Parse(date string) (time.Time, error) {
	if len(date) == len(dateForm) && date[3:5] == ", " && date[7] == ' ' && date[11] == ' ' && date[16] == ' ' &&
		date[19] == ':' && date[22] == ':' && date[25:] == " GMT" {
		weekday := nameIn("MonTueWedThuFriSatSun", date[:3])
		month := nameIn("JanFebMarAprMayJunJulAugSepOctNovDec", date[8:11])
		day, year := number(date[5:7], 31), number(date[12:16], 9999)
		hour, minute, second := number(date[17:19], 23), number(date[20:22], 59), number(date[23:25], 59)
		if weekday > 0 && month > 0 && min(day, year, hour, minute, second) >= 0 {
			at := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
			if at.Day() == day { // the month has that day
				return at, nil
			}
		}
	}
	return time.Time{}, errors.New("date: want " + dateForm)
}

// number returns the number in these digits, or -1 if they are none or above most.
func number(digits string, most int) int {
	n := 0
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return -1
		}
		n = 10*n + int(c-'0')
	}
	if n > most {
		return -1
	}
	return n
}

// nameIn returns which of these names of three letters this one is, from 1 on, or 0.
func nameIn(names, name string) int {
	for i := 0; i < len(names); i += len(name) {
		if names[i:i+len(name)] == name {
			return i/len(name) + 1
		}
	}
	return 0
}
