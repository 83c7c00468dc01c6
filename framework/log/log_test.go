package log_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"

	"grenade/framework/log"
)

func lines(t *testing.T, path string) []map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	scanner := bufio.NewScanner(bytes.NewReader(text))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var line map[string]any
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatalf("%v in %q", err, scanner.Text())
		}
		all = append(all, line)
	}
	return all
}

func TestEntryGoesToConsoleAndFile(t *testing.T) {
	g := NewWithT(t)
	var console bytes.Buffer
	file := filepath.Join(t.TempDir(), "logs", "run.log")
	l := log.New(log.Options{Console: &console, JSONFile: file, RunID: "r1", Fields: logrus.Fields{"node": "nspawn"}})
	l.For("upgrade", "glance").WithField("port", 9292).WithError(errors.New("refused")).Warn("no answer")
	l.Info("started")
	l.Debug("hidden")
	g.Expect(l.Close()).To(Succeed())

	g.Expect(console.String()).To(MatchRegexp(`^\d\d:\d\d:\d\d WARN  upgrade/glance  no answer  error=refused node=nspawn port=9292\n` +
		`\d\d:\d\d:\d\d INFO  started  node=nspawn\n$`))
	all := lines(t, file)
	g.Expect(all).To(HaveLen(2))
	g.Expect(all[0]).To(And(
		HaveKeyWithValue("run", "r1"), HaveKeyWithValue("phase", "upgrade"), HaveKeyWithValue("project", "glance"),
		HaveKeyWithValue("msg", "no answer"), HaveKeyWithValue("level", "warning"), HaveKeyWithValue("error", "refused"),
		HaveKeyWithValue("port", 9292.0), HaveKeyWithValue("node", "nspawn"), HaveKey("time")))
	g.Expect(all[1]).To(And(HaveKeyWithValue("run", "r1"), HaveKeyWithValue("phase", ""), HaveKeyWithValue("project", "")))
}

func TestConsoleShowsControlCharacters(t *testing.T) {
	g := NewWithT(t)
	var console bytes.Buffer
	log.New(log.Options{Console: &console}).Info("a\x1b[2Jb\nsecond\r\x07")
	g.Expect(console.String()).To(HaveSuffix("a\\x1b[2Jb\n         second\\x0d\\x07\n"))
}

func TestSecretsAppearNowhere(t *testing.T) {
	secret := `p&ss/"wörd"<+1`
	basic := func(user string) string { return base64.StdEncoding.EncodeToString([]byte(user + ":" + secret + "@x")) }
	core := func(user string) string { // what of the header tells the secret
		return basic(user)[4*((len(user)+1)/3)+4 : len(basic(user))-8]
	}
	quoted, _ := json.Marshal(secret)
	for name, c := range map[string]struct{ text, leak string }{
		"raw":               {"password " + secret, secret},
		"query escaped":     {"x=" + url.QueryEscape(secret), url.QueryEscape(secret)},
		"path escaped":      {"x=" + url.PathEscape(secret), url.PathEscape(secret)},
		"lower case escape": {"x=" + strings.ToLower(url.QueryEscape(secret)), strings.ToLower(url.QueryEscape(secret))},
		"JSON":              {"body " + string(quoted), string(quoted)},
		"base64":            {base64.StdEncoding.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret))},
		"base64 at 0":       {"Basic " + basic("ab"), core("ab")},
		"base64 at 1":       {"Basic " + basic("abc"), core("abc")},
		"base64 at 2":       {"Basic " + basic("a"), core("a")},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			var console bytes.Buffer
			file := filepath.Join(t.TempDir(), "log")
			l := log.New(log.Options{Console: &console, JSONFile: file})
			l.Redact("", secret)
			l.Info(c.text)
			l.WithField("f", c.text).WithError(errors.New(c.text)).Info("in fields")
			l.WithField("f", map[string]any{"nested": []string{c.text}}).Info("deep")
			g.Expect(l.Close()).To(Succeed())

			g.Expect(c.leak).NotTo(BeEmpty())
			text, err := os.ReadFile(file)
			g.Expect(err).NotTo(HaveOccurred())
			for _, written := range []string{console.String(), string(text)} {
				g.Expect(written).NotTo(ContainSubstring(c.leak))
				g.Expect(written).NotTo(ContainSubstring("wörd"))
				g.Expect(strings.Count(written, log.Hidden)).To(BeNumerically(">=", 4))
			}
			g.Expect(lines(t, file)).To(HaveLen(3), "still JSON")
		})
	}
}

func TestTokensNeedNotBeRegistered(t *testing.T) {
	g := NewWithT(t)
	redactor := log.NewRedactor()
	token := "gAAAAABrA33RoniQpGKGEaht09j-azMNpiCVReFIOqkWT5duktjGC6-hY_dqQJFbs15g0pNUpd0yJTvTwqH=="
	g.Expect(redactor.String("Could not find token: " + token + ".")).To(Equal("Could not find token: ***."))
	g.Expect(string(redactor.Bytes([]byte(token)))).To(Equal("***"))
	g.Expect(redactor.String("gAAAA is no token")).To(Equal("gAAAA is no token"))
}

func TestRedactor(t *testing.T) {
	g := NewWithT(t)
	r := log.NewRedactor("abc", "abcdef")
	g.Expect(r.String("xabcdefx abc")).To(Equal("x***x ***"), "the longer secret is hidden whole")
	text := []byte("abc")
	g.Expect(string(r.Bytes(text))).To(Equal("***"))
	g.Expect(string(text)).To(Equal("abc"), "the caller's bytes are not touched")
	g.Expect(log.NewRedactor("").String("nothing to hide")).To(Equal("nothing to hide"))
	g.Expect(log.NewRedactor("a").String("YQ== QUJD")).To(Equal("*** QUJD"), "short cores hide nothing innocent")
}

// FuzzRedactor: no secret that is long enough survives in a basic
// authorization header, wherever it starts.
func FuzzRedactor(f *testing.F) {
	f.Add("user", "secret-password", "tail")
	f.Add("", "0123456789abcdef", "")
	f.Add("a\x00", "päss\xffword!", "===")
	f.Fuzz(func(t *testing.T, before, secret, after string) {
		if len(secret) < 9 {
			t.Skip("too short to be certain")
		}
		encoded := base64.StdEncoding.EncodeToString([]byte(before + secret + after))
		if got := log.NewRedactor(secret).String(encoded); !strings.Contains(got, log.Hidden) {
			t.Errorf("%q survives in %q", secret, got)
		}
		if got := log.NewRedactor(secret).String(before + secret + after); strings.Contains(got, secret) {
			t.Errorf("%q survives in %q", secret, got)
		}
	})
}

type deadPipe struct{ tried int }

func (d *deadPipe) Write([]byte) (int, error) { d.tried++; return 0, syscall.EPIPE }

func TestDeadConsoleDoesNotMatter(t *testing.T) {
	g := NewWithT(t)
	console := &deadPipe{}
	file := filepath.Join(t.TempDir(), "log")
	l := log.New(log.Options{Console: console, JSONFile: file})
	l.Info("one")
	l.Info("two")
	g.Expect(l.Close()).To(Succeed())
	g.Expect(console.tried).To(Equal(2))
	g.Expect(lines(t, file)).To(HaveLen(2))
}

func TestFileThatCannotBeWrittenIsToldOnce(t *testing.T) {
	g := NewWithT(t)
	var console bytes.Buffer
	inTheWay := filepath.Join(t.TempDir(), "file")
	g.Expect(os.WriteFile(inTheWay, nil, 0o600)).To(Succeed())
	l := log.New(log.Options{Console: &console, JSONFile: filepath.Join(inTheWay, "log")})
	l.Info("one")
	l.Info("two")
	g.Expect(strings.Count(console.String(), "cannot be written")).To(Equal(1))
	g.Expect(console.String()).To(ContainSubstring("two"))
	g.Expect(l.Close()).To(MatchError(ContainSubstring("not a directory")))
}

func TestFullDiskIsToldOnce(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	g := NewWithT(t)
	var console bytes.Buffer
	l := log.New(log.Options{Console: &console, JSONFile: "/dev/full"})
	for range 3 {
		l.Info("entry")
	}
	g.Expect(strings.Count(console.String(), "no space left on device")).To(Equal(1))
	g.Expect(strings.Count(console.String(), "entry")).To(Equal(3))
	g.Expect(l.Close()).To(MatchError(syscall.ENOSPC))
}

func TestFieldThatJSONCannotHold(t *testing.T) {
	g := NewWithT(t)
	file := filepath.Join(t.TempDir(), "log")
	l := log.New(log.Options{JSONFile: file})
	l.WithField("n", math.Inf(1)).WithField("c", make(chan int)).Info("odd")
	g.Expect(l.Close()).To(Succeed())
	g.Expect(lines(t, file)).To(ConsistOf(HaveKeyWithValue("n", "+Inf")))
}

func TestManyAtOnce(t *testing.T) {
	g := NewWithT(t)
	var console bytes.Buffer
	file := filepath.Join(t.TempDir(), "log")
	l := log.New(log.Options{Console: &console, JSONFile: file})
	var wait sync.WaitGroup
	for i := range 50 {
		wait.Go(func() {
			l.Redact(fmt.Sprintf("secret-%d", i))
			l.For("verify", fmt.Sprint(i)).Infof("secret-%d", i)
		})
	}
	wait.Wait()
	g.Expect(l.Close()).To(Succeed())
	g.Expect(strings.Count(console.String(), "\n")).To(Equal(50))
	g.Expect(console.String()).NotTo(ContainSubstring("secret-"))
	g.Expect(lines(t, file)).To(HaveLen(50))
}
