package guest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// cgi runs a few lines of shell as a program of the guest's web server would run them, with a query.
func cgi(t *testing.T, query, script string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "sh", "-c", ". ./files/lib/cgi; "+script)
	command.Env = append(os.Environ(), "QUERY_STRING="+query, "REQUEST_METHOD=GET")
	output, err := command.CombinedOutput()
	NewWithT(t).Expect(err).NotTo(HaveOccurred(), string(output))
	return string(output)
}

func TestQueryIsTakenApart(t *testing.T) {
	for query, expected := range map[string]string{
		"disk=vdb&offset=0&length=512":                                 "vdb 0 512",
		"length=512&disk=d7a4c6b0-1111-4222-8333-444455556666&offset=": "d7a4c6b0-1111-4222-8333-444455556666  512",
		"disk=a=b":   "a=b  ",
		"":           "  ",
		"disk=vdb&":  "vdb  ",
		"offset=010": " 010 ",
	} {
		t.Run(query, func(t *testing.T) {
			said := cgi(t, query, `parameters disk offset length; echo "$disk $offset $length"`)
			NewWithT(t).Expect(said).To(Equal(expected + "\n"))
		})
	}
}

func TestHostileQueriesAreRefused(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "trace")
	for _, query := range []string{
		"disk=$(touch " + trace + ")", "disk=`touch " + trace + "`", "disk=vdb;touch " + trace, "disk=%24%28x%29", "disk=../vda", "disk=v*",
		"disk=vdb|x", "disk=vdb\nx", "disk=é", "disk='", `disk="`, "disk=a b", "disk=~", "disk=\\", "device=vdb", "disk", "&disk=vdb", "IFS=x", "PATH=x",
		"disk$IFS=vdb", "disk=vdb#",
	} {
		t.Run(query, func(t *testing.T) {
			g := NewWithT(t)
			said := cgi(t, query, `parameters disk; echo "taken: $disk"`)
			g.Expect(said).To(HavePrefix("Status: 400 Bad Request\r\n"))
			g.Expect(said).To(ContainSubstring("Content-Type: text/plain\r\n"))
			_, sentence, _ := strings.Cut(said, "\r\n\r\n")
			g.Expect(sentence).To(MatchRegexp(`^[A-Z][^\n]+\.\n$`))
			g.Expect(trace).NotTo(BeAnExistingFile())
		})
	}
}

func TestNumbersAreWholeSectors(t *testing.T) {
	for value, good := range map[string]bool{
		"0": true, "512": true, "1073741824": true, "512000000000000": true,
		"": false, "-512": false, "010": false, "0512": false, "511": false, "5e2": false, "0x200": false, "99999999999999999999": false, " 512": false,
	} {
		t.Run(value, func(t *testing.T) {
			said := cgi(t, "", `sectors offset '`+value+`'; echo good`)
			if good {
				NewWithT(t).Expect(said).To(Equal("good\n"))
			} else {
				NewWithT(t).Expect(said).To(HavePrefix("Status: 400"))
			}
		})
	}
}

func TestReadingBehindTheEndIsRefused(t *testing.T) {
	g := NewWithT(t)
	g.Expect(cgi(t, "", `device=vdb size=1024; within 512 512; echo good`)).To(Equal("good\n"))
	for _, part := range []string{"512 1024", "1024 512", "2048 512"} {
		g.Expect(cgi(t, "", `device=vdb size=1024; within `+part+`; echo good`)).To(HavePrefix("Status: 416"), part)
	}
	g.Expect(cgi(t, "", `device=vdb size=1024; within 0 0; echo good`)).To(HavePrefix("Status: 400"))
}
