#include "api/event.hpp"

namespace coffer::api {

void describe(json::Fields& f, const EventActor& s) {
    f("ID", s.id);
    f("Attributes", s.attributes);
}

void describe(json::Fields& f, const Event& s) {
    f("status", s.status, json::kOmitEmpty);
    f("id", s.id, json::kOmitEmpty);
    f("from", s.from, json::kOmitEmpty);
    f("Type", s.type);
    f("Action", s.action);
    f("Actor", s.actor);
    f("scope", s.scope, json::kOmitEmpty);
    f("time", s.time, json::kOmitEmpty);
    f("timeNano", s.time_nano, json::kOmitEmpty);
}

}  // namespace coffer::api
