package edge

// sortStrings sorts in place, by Shell's method: the sort of the library is twenty KB
// of code that the edge would have to load. A viewer can send thousands of headers.
func sortStrings(s []string) {
	for _, gap := range [...]int{1750, 701, 301, 132, 57, 23, 10, 4, 1} {
		for i := gap; i < len(s); i++ {
			for j := i; j >= gap && s[j] < s[j-gap]; j -= gap {
				s[j], s[j-gap] = s[j-gap], s[j]
			}
		}
	}
}
