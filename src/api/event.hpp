#pragma once
// Events of the Engine API 1.50, with the keys that older clients still read. Plain data.

#include <cstdint>
#include <map>
#include <string>

#include "json/codec.hpp"

namespace coffer::api {

struct EventActor {
    std::string id;
    std::map<std::string, std::string> attributes;
};

struct Event {
    std::string status;  // below API 1.52, of containers and images: the action ...
    std::string id;      // ... the actor ...
    std::string from;    // ... and the image
    std::string type;    // container image volume network daemon plugin builder ...
    std::string action;
    EventActor actor;
    std::string scope = "local";
    std::int64_t time = 0;  // seconds
    std::int64_t time_nano = 0;
};

void describe(json::Fields& f, const EventActor& s);
void describe(json::Fields& f, const Event& s);

}  // namespace coffer::api
