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
	for value, accepted := range map[string]bool{
		"": true, "2.3000.1047769893": true,
		"latest": false, "2.3000": false, "2.3000.99999999999": false, "2.3000.4294967296": false, "2.3000.-1": false, "02.3000.1": false, "0.0.0": false,
	} {
		environment := map[string]string{"ENGINE_STORE": "sqlite:/data/sessions.db", "ENGINE_WEB_VERSION": value}
		read, err := Read(good, func(name string) string { return environment[name] })
		if (err == nil) != accepted || accepted && value != "" && read.WebVersion.String() != value {
			t.Errorf("the version %q: got %v, %v", value, read.WebVersion, err)
		}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			read, err := Read(c.arguments, environment(map[string]string{"ENGINE_STORE": c.store}))
			if (err != nil) != (c.want == Store{}) || read.Store != c.want {
				t.Errorf("got %+v, %v", read, err)
			}
		})
	}
}

func TestTheHistoryThatIsKeptIsGivenInMiB(t *testing.T) {
	for value, want := range map[string]int64{"": 64 << 20, "0": 0, "1": 1 << 20, "65535": 65535 << 20, "-1": -1, "65536": -1, "1GiB": -1} {
		read, err := Read([]string{"--socket", "/s"}, environment(map[string]string{"ENGINE_STORE": "sqlite:/s.db", "ENGINE_HISTORY_MIB": value}))
		if (err != nil) != (want < 0) || (err == nil && read.HistoryBytes != want) {
			t.Errorf("%q: got %d, %v", value, read.HistoryBytes, err)
		}
	}
}

func environment(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}
