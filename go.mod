module oncegate

go 1.26
