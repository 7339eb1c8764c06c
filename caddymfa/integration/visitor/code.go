package visitor

import (
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
)

// Period is how long a code of an authenticator app is shown, in seconds.
const Period = 30

// Now is the present period, counted from the beginning of 1970.
func Now() int64 { return time.Now().Unix() / Period }

// Code is what an authenticator app shows in a period. Spaces in its secret mean
// nothing.
func Code(secret string, period int64) (string, error) {
	return totp.GenerateCodeCustom(strings.ReplaceAll(secret, " ", ""), time.Unix(period*Period, 0),
		totp.ValidateOpts{Period: Period, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
}
