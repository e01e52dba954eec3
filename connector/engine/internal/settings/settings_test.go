package settings

import "testing"

func TestSettingsAreReadOrRefused(t *testing.T) {
	good := []string{"--socket", "/run/engine"}
	cases := map[string]struct {
		arguments []string
		store     string
		want      Store // empty: refused
	}{
		"sqlite":                {good, "sqlite:/data/sessions.db", Store{SQLite, "/data/sessions.db"}},
		"postgres":              {good, "postgres://user@host/db", Store{Postgres, "postgres://user@host/db"}},
		"postgresql":            {good, "postgresql://user@host/db", Store{Postgres, "postgresql://user@host/db"}},
		"no store":              {good, "", Store{}},
		"a relative path":       {good, "sqlite:sessions.db", Store{}},
		"another database":      {good, "mysql://host", Store{}},
		"no socket":             {nil, "sqlite:/data/sessions.db", Store{}},
		"an unknown flag":       {[]string{"--socket", "/s", "--port", "1"}, "sqlite:/data/sessions.db", Store{}},
		"something left behind": {[]string{"--socket", "/s", "more"}, "sqlite:/data/sessions.db", Store{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			read, err := Read(c.arguments, func(string) string { return c.store })
			if (err != nil) != (c.want == Store{}) || read.Store != c.want {
				t.Errorf("got %+v, %v", read, err)
			}
		})
	}
}
