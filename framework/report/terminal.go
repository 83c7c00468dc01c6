package report

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// IsTerminal tells whether w is a terminal, and how many columns it has (80
// when it does not say).
func IsTerminal(w io.Writer) (terminal bool, width int) {
	file, ok := w.(*os.File)
	if !ok {
		return false, 0
	}
	if _, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS); err != nil {
		return false, 0
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return true, 80
	}
	return true, int(size.Col)
}
