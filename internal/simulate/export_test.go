package simulate

import (
	"fmt"
	"time"
)

// CheckTable finds missing cells, and cells that differ much from the way back. Both mean
// that the table was copied badly.
func CheckTable() error {
	if len(roundTrips) != len(regions) {
		return fmt.Errorf("%d rows for %d Regions", len(roundTrips), len(regions))
	}
	for i, row := range roundTrips {
		if len(row) != len(regions) {
			return fmt.Errorf("%s has %d columns", regions[i], len(row))
		}
		for j, d := range row {
			if d <= 0 || (d-roundTrips[j][i]).Abs() > max(12*time.Millisecond, d/8) {
				return fmt.Errorf("%s to %s %v, back %v", regions[i], regions[j], d, roundTrips[j][i])
			}
		}
	}
	return nil
}
