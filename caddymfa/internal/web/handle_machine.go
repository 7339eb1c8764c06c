package web

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// healthTime is how long storage may take to answer before it counts as down.
const healthTime = 2 * time.Second

// machine serves what is for programs, and reports whether it did.
func (s *Server) machine(w http.ResponseWriter, r *http.Request, path string) bool {
	name, static := strings.CutPrefix(path, "/static/")
	if !static && path != "/jwks.json" && path != "/health" {
		return false
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		s.json(w, http.StatusMethodNotAllowed, map[string]string{"error": "method_not_allowed"})
		return true
	}
	switch path {
	case "/jwks.json":
		set, err := s.Login.Sessions.Keys.JWKS(r.Context())
		if err != nil {
			s.Fault(r, "reading the signing keys", err)
			s.json(w, http.StatusServiceUnavailable, map[string]string{"error": "unavailable"})
			return true
		}
		w.Header().Set("Cache-Control", "public, max-age=300")
		s.json(w, http.StatusOK, set)
	case "/health":
		ctx, cancel := context.WithTimeout(r.Context(), healthTime)
		defer cancel()
		if err := s.Login.Store.Ping(ctx); err != nil {
			s.Fault(r, "checking health", err)
			s.json(w, http.StatusServiceUnavailable, map[string]string{"status": "unavailable"})
			return true
		}
		s.json(w, http.StatusOK, map[string]string{"status": "ok"})
	default:
		content, kind, ok := s.Pages.Static(name)
		if !ok {
			s.json(w, http.StatusNotFound, map[string]string{"error": "not_found"})
			return true
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", StaticCacheControl)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		w.Write(content) // whoever asked may be gone
	}
	return true
}

// json answers a program.
func (s *Server) json(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"fault"}`)
	}
	if w.Header().Get("Cache-Control") == "" {
		w.Header().Set("Cache-Control", "no-store")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(append(body, '\n')) // whoever asked may be gone
}
