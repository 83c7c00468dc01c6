package debstack

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Passwords are the secrets of one run, by the name that local.conf gives them.
type Passwords map[string]string

// passwordFile is where a run keeps them, below SAVE_DIR.
const passwordFile = "passwords"

// PasswordNames are the settings that hold a password, as DevStack names them.
func PasswordNames() []string {
	return []string{"ADMIN_PASSWORD", "DATABASE_PASSWORD", "RABBIT_PASSWORD", "SERVICE_PASSWORD"}
}

// NewPasswords makes up a random password for each name, from letters and digits only: they become part of URLs, SQL
// and shell.
func NewPasswords() Passwords {
	made := Passwords{}
	for _, name := range PasswordNames() {
		made[name] = rand.Text() // 130 bits, in base 32
	}
	return made
}

// Settings gives them in the order of their names, for local.conf.
func (p Passwords) Settings() []Setting {
	var settings []Setting
	for _, name := range sortedKeys(p, strings.Compare) {
		settings = append(settings, Setting{Name: name, Value: p[name]})
	}
	return settings
}

// Save writes them into saveDir, which it makes private (0700) if it is not; they are nowhere else on the host.
func (p Passwords) Save(saveDir string) error {
	if err := os.MkdirAll(saveDir, 0o700); err != nil {
		return fmt.Errorf("save passwords: %w", err)
	}
	if err := os.Chmod(saveDir, 0o700); err != nil {
		return fmt.Errorf("save passwords: %w", err)
	}
	var text strings.Builder
	for _, s := range p.Settings() {
		text.WriteString(s.Name + "=" + s.Value + "\n")
	}
	path := filepath.Join(saveDir, passwordFile)
	// A new file each time: an existing one would keep its mode.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("save passwords: %w", err)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("save passwords: %w", err)
	}
	return nil
}

// LoadPasswords reads what Save wrote, for a run that goes on with a cloud that is there. A name without a password
// is an error.
func LoadPasswords(saveDir string) (Passwords, error) {
	file, err := os.Open(filepath.Join(saveDir, passwordFile))
	if err != nil {
		return nil, fmt.Errorf("passwords of the run: %w", err)
	}
	defer file.Close()
	found := Passwords{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok && value != "" {
			found[name] = value
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("passwords of the run: %w", err)
	}
	missing := slices.DeleteFunc(PasswordNames(), func(name string) bool { return found[name] != "" })
	if len(missing) > 0 {
		return nil, fmt.Errorf("passwords of the run: %s has none for %s", file.Name(), strings.Join(missing, ", "))
	}
	return found, nil
}
