package perenne.pnp.api;

import jakarta.json.Json;
import jakarta.json.JsonArrayBuilder;
import jakarta.json.JsonObject;
import jakarta.json.JsonObjectBuilder;
import jakarta.ws.rs.WebApplicationException;
import jakarta.ws.rs.core.Response;
import jakarta.ws.rs.core.Response.Status.Family;
import java.util.List;
import perenne.pnp.model.Violation;

/** Problem details for HTTP APIs (RFC 9457). */
final class Problem {

    static final String MEDIA_TYPE = "application/problem+json";

    private Problem() {}

    /** A problem that its status code names well enough, as an exception. */
    static WebApplicationException exception(int status, String detail) {
        return new WebApplicationException(detail, response(status, detail, List.of()));
    }

    static Response response(int status, String detail, List<Violation> violations) {
        return Response.status(status).type(MEDIA_TYPE).entity(body(status, detail, violations).toString()).build();
    }

    /** @param violations become the member {@code errors}, as in the RFC's section 3 */
    static JsonObject body(int status, String detail, List<Violation> violations) {
        JsonObjectBuilder problem = Json.createObjectBuilder()
                .add("type", "about:blank")
                .add("title", title(status))
                .add("status", status)
                .add("detail", detail);
        if (!violations.isEmpty()) {
            JsonArrayBuilder errors = Json.createArrayBuilder();
            violations.forEach(violation -> errors.add(Json.createObjectBuilder()
                    .add("field", violation.field())
                    .add("pointer", violation.pointer())
                    .add("detail", violation.detail())));
            problem.add("errors", errors);
        }
        return problem.build();
    }

    private static String title(int status) {
        return switch (status) {
            case 422 -> "Unprocessable Content";
            default -> {
                Response.Status known = Response.Status.fromStatusCode(status);
                yield known != null ? known.getReasonPhrase() : Family.familyOf(status).name();
            }
        };
    }
}
