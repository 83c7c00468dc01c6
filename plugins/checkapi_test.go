package plugins_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

// asked runs a line of bash with inc/check sourced, and URL set to a server's that
// answers what the test hands over.
func asked(t *testing.T, line string, env []string, answer http.HandlerFunc) (stdout, stderr string, err error) {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	command := exec.CommandContext(t.Context(), "/bin/bash", "-euo", "pipefail", "-c",
		`shopt -s inherit_errexit; source shell/inc/check; `+line)
	command.Env = append([]string{"URL=" + server.URL, "OS_AUTH_URL=" + server.URL, "SAVE_DIR=" + t.TempDir(), "CHECK_TOKEN=secret"}, env...)
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	err = command.Run()
	return out.String(), said.String(), err
}

// onlyCurl is a directory for PATH that has curl and nothing else.
func onlyCurl(t *testing.T) string {
	t.Helper()
	curl, err := exec.LookPath("curl")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	dir := t.TempDir()
	NewWithT(t).Expect(os.Symlink(curl, filepath.Join(dir, "curl"))).To(Succeed())
	return dir
}

func TestCheckAPIPrintsTheBodyAndStartsNothingButCurl(t *testing.T) {
	g := NewWithT(t)
	const body = "{\"a\":\n \"Grüße\"}\n\n"
	out, said, err := asked(t, `check_api POST "$URL/x" "200|201" --json-body '{"b": 1}'`, []string{"PATH=" + onlyCurl(t)},
		func(w http.ResponseWriter, r *http.Request) {
			sent := make([]byte, 64)
			n, _ := r.Body.Read(sent)
			if r.Header.Get("X-Auth-Token") != "secret" || string(bytes.TrimSpace(sent[:n])) != `{"b": 1}` {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, body)
		})
	g.Expect(err).NotTo(HaveOccurred(), said)
	g.Expect(out).To(Equal(body))
}

func TestCheckAPISaysWhatWasAnsweredInstead(t *testing.T) {
	g := NewWithT(t)
	out, said, err := asked(t, `seen=$(check_api GET "$URL/x" 200); echo "$seen"`, []string{"PATH=" + onlyCurl(t)},
		func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, "it is\nin use")
		})
	g.Expect(err).To(HaveOccurred())
	g.Expect(out).To(BeEmpty())
	g.Expect(said).To(And(ContainSubstring("answers 200"), ContainSubstring("seen: 409 it is in use")))

	_, said, err = asked(t, `check_api GET http://127.0.0.1:1/x 200`, []string{"PATH=" + onlyCurl(t)}, nil)
	g.Expect(err).To(HaveOccurred())
	g.Expect(said).To(And(ContainSubstring("curl: (7)"), ContainSubstring("seen: 000")))
}

func TestAnAnswerThatIsCutOffIsNone(t *testing.T) {
	for _, function := range []string{"check_api", "check_api_sum"} {
		t.Run(function, func(t *testing.T) {
			g := NewWithT(t)
			out, said, err := asked(t, function+` GET "$URL/x" 200`, []string{"PATH=" + os.Getenv("PATH")}, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "100")
				fmt.Fprint(w, "[1, 2]")
			})
			g.Expect(err).To(HaveOccurred())
			g.Expect(out).To(BeEmpty())
			g.Expect(said).To(ContainSubstring("seen: 200 (curl: exit code 18)"))
		})
	}
}

func TestCheckAPISumIsOfWhateverBytes(t *testing.T) {
	g := NewWithT(t)
	body := bytes.Repeat([]byte{0, 1, '\n', 255}, 5000)
	path := []string{"PATH=" + os.Getenv("PATH")}
	out, said, err := asked(t, `check_api_sum GET "$URL/x" 200`, path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	g.Expect(err).NotTo(HaveOccurred(), said)
	g.Expect(out).To(Equal(fmt.Sprintf("%x\n", sha256.Sum256(body))))

	out, said, err = asked(t, `check_api_sum GET "$URL/x" 200; ls -A "$SAVE_DIR"`, path, http.NotFound)
	g.Expect(err).To(HaveOccurred())
	g.Expect(out).To(BeEmpty())
	g.Expect(said).To(And(ContainSubstring("seen: 404"), ContainSubstring("not found")))
}
