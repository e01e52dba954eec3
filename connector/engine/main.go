// Command wa-engine keeps WhatsApp sessions for the connector, over whatsmeow: it serves engine.proto on a unix socket.
package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	signallog "go.mau.fi/libsignal/logger"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"threadline/engine/contract"
	"threadline/engine/internal/accounts"
	"threadline/engine/internal/backup"
	"threadline/engine/internal/crash"
	"threadline/engine/internal/database"
	"threadline/engine/internal/journal"
	"threadline/engine/internal/parent"
	"threadline/engine/internal/quarantine"
	"threadline/engine/internal/service"
	"threadline/engine/internal/session"
	"threadline/engine/internal/settings"
	"threadline/engine/internal/wanet"
	"threadline/engine/internal/webversion"
)

const (
	statusFailed   = 1
	statusSettings = 2
	stopWithin     = 8 * time.Second
	greetWithin    = 3 * time.Second
	// The Go runtime writes a crash beside the socket: whoever starts the engine again keeps the socket's place.
	crashSuffix = ".crash"
)

func init() {
	runtime.LockOSThread() // the kernel tells the main thread that the parent has died
	journal.Start(os.Stderr)
	var quiet signallog.Loggable = silent{}
	signallog.Setup(&quiet) // libsignal writes on stdout unless it is given a logger; what it says quotes addresses
}

func main() {
	if arguments := os.Args[1:]; backup.IsCommand(arguments) {
		asked, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		os.Exit(backup.Run(asked, arguments, os.Getenv, os.Stdout, os.Stderr))
	}
	orphaned := parent.Watch()
	read, err := settings.Read(os.Args[1:], os.Getenv)
	if err != nil {
		journal.SettingsRefused(err)
		os.Exit(statusSettings)
	}
	os.Exit(run(read, orphaned))
}

func run(read settings.Settings, orphaned <-chan struct{}) int {
	way, err := wanet.Find()
	if err != nil {
		journal.SettingsRefused(err)
		return statusSettings
	}
	db, err := database.Open(context.Background(), read.Store)
	if err != nil {
		what := "the store cannot be opened"
		if errors.Is(err, database.ErrNewer) {
			what = "the store was upgraded by a newer engine; deploy that one's image"
		}
		journal.StartFailed(what, err)
		return statusFailed
	}
	if err := noteCrash(db, read.Socket+crashSuffix); err != nil {
		journal.StartFailed("the crash of the engine before cannot be noted", err)
		return statusFailed
	}
	listener, err := listen(read.Socket)
	if err != nil {
		journal.StartFailed("the socket cannot be opened", err)
		return statusFailed
	}
	versions, err := webversion.Open(context.Background(), db, way.Process(), read.WebVersion)
	if err != nil {
		journal.StartFailed("the store cannot be read", err)
		return statusFailed
	}
	go func() { _ = versions.Refresh(context.Background()) }() // no session waits for it
	shared := session.Shared{
		DB: db, Accounts: accounts.NewRegistry(db), Way: way, Versions: versions, HistoryBytes: read.HistoryBytes,
	}
	engine := service.New(shared)
	server := grpc.NewServer(
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute}),
		grpc.UnaryInterceptor(service.NameAccount),
		service.Codec(),
		grpc.ConnectionTimeout(greetWithin), // who connects and says nothing would hold up the stop
	)
	contract.RegisterEngineServer(server, engine)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	journal.Started(string(read.Store.Kind))

	asked := make(chan os.Signal, 2)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	select {
	case err := <-served:
		journal.ServingFailed(err)
		return statusFailed
	case <-orphaned:
		journal.Stopping("its parent has died")
		return 0 // what is saved is saved; nobody is left to tell
	case why := <-asked:
		journal.Stopping(why.String())
	}
	stop(server, engine)
	if err := db.Close(); err != nil {
		journal.StartFailed("the store cannot be closed", err)
	}
	return 0
}

// noteCrash notes which account the engine before this one has crashed at, and has a crash of this one written down.
func noteCrash(db *database.Database, path string) error {
	report, err := crash.Read(path)
	if err != nil {
		return err
	}
	switch {
	case report == nil:
	case report.Account == "":
		journal.CrashedSomewhere()
	default:
		journal.For(report.Account).Crashed()
		if err := quarantine.NoteCrash(context.Background(), db, report.Account); err != nil {
			return err
		}
	}
	return crash.Watch(path)
}

// listen takes the place of a socket that an engine before this one left behind.
func listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return net.Listen("unix", path)
}

func stop(server *grpc.Server, engine *service.Service) {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		engine.Stop() // ends the streams, too
		server.GracefulStop()
	}()
	select {
	case <-closed:
	case <-time.After(stopWithin):
		journal.SessionsNotClosed()
	}
}

// silent is a logger for libsignal that says nothing.
type silent struct{}

func (silent) Debug(string, string)   {}
func (silent) Info(string, string)    {}
func (silent) Warning(string, string) {}
func (silent) Error(string, string)   {}
func (silent) Configure(string)       {}
