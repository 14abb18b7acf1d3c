package bearer

// ClaimNames are the claims that mean the same in every token.
var ClaimNames = claimNames
