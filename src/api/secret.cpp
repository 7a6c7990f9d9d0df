#include "api/secret.hpp"

namespace coffer::api {

void describe(json::Fields& f, const SecretSpec& s) {
    f("Name", s.name);
    f("Labels", s.labels);
    f("Data", s.data, json::kOmitEmpty);
    f("Driver", s.driver, json::kOmitEmpty);
    f("Templating", s.templating, json::kOmitEmpty);
}

void describe(json::Fields& f, const SecretVersion& s) {
    f("Index", s.index);
}

void describe(json::Fields& f, const Secret& s) {
    f("ID", s.id);
    f("Version", s.version);
    f("CreatedAt", s.created_at);
    f("UpdatedAt", s.updated_at);
    f("Spec", s.spec);
}

void describe(json::Fields& f, const SecretCreated& s) {
    f("ID", s.id);
}

}  // namespace coffer::api
