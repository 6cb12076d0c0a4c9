package perenne.pnp.api;

import jakarta.enterprise.context.RequestScoped;
import jakarta.inject.Inject;
import jakarta.json.Json;
import jakarta.json.JsonArrayBuilder;
import jakarta.json.JsonNumber;
import jakarta.json.JsonObject;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.DELETE;
import jakarta.ws.rs.DefaultValue;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.HeaderParam;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.PUT;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.QueryParam;
import jakarta.ws.rs.WebApplicationException;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import perenne.pnp.model.InvalidInput;
import perenne.pnp.model.Person;
import perenne.pnp.model.Preferences;
import perenne.pnp.model.PreferencesJson;
import perenne.pnp.model.Violation;
import perenne.pnp.store.People;

/** People and their preferences. A person's version is its ETag; changes name the version that they are based on. */
@Path("people")
@RequestScoped
@Produces(MediaType.APPLICATION_JSON)
public class PeopleResource {

    private static final int LARGEST_PAGE = 100;

    /** What a client may send; the last four are what it got, and are not changed by it. */
    private static final Set<String> FIELDS = Set.of("name", "preferences", "id", "version", "createdAt", "updatedAt");

    @Inject
    private People people;

    @Context
    private HttpServletRequest request;

    @GET
    public Response list(
            @QueryParam("q") @DefaultValue("") String text,
            @QueryParam("page") @DefaultValue("1") String page,
            @QueryParam("size") @DefaultValue("20") String size) {
        People.Page found = people.list(
                Bodies.storable("q", text),
                Numbers.within("page", page, 1, 1_000_000),
                Numbers.within("size", size, 1, LARGEST_PAGE));
        JsonArrayBuilder items = Json.createArrayBuilder();
        found.people().forEach(person -> items.add(json(person)));
        return Response.ok(Json.createObjectBuilder()
                        .add("items", items)
                        .add("page", found.number())
                        .add("size", found.size())
                        .add("pages", found.last())
                        .add("total", found.total())
                        .build()
                        .toString())
                .build();
    }

    /** Makes a person; one with the same id, sent again, is not made twice. */
    @POST
    @Consumes(MediaType.APPLICATION_JSON)
    public Response create(InputStream body) throws IOException {
        JsonObject sent = Bodies.object(body, FIELDS);
        Content content = Content.of(sent);
        UUID id = Bodies.absent(sent, "id") ? UUID.randomUUID() : Bodies.uuid(sent, "id");
        Person stored = people.create(id, content.name(), content.preferences());
        if (!stored.holds(content.name(), content.preferences())) {
            throw Problem.exception(409, "There is another person with this id.");
        }
        // As text: a URI would be made absolute with the scheme and host that this server sees behind its balancer.
        return Response.fromResponse(ok(stored)).status(201).header("Location", request.getContextPath() + "/api/people/" + id).build();
    }

    @GET
    @Path("{id}")
    public Response read(@PathParam("id") String id) {
        return ok(people.find(known(id)).orElseThrow(PeopleResource::missing));
    }

    @PUT
    @Path("{id}")
    @Consumes(MediaType.APPLICATION_JSON)
    public Response update(@PathParam("id") String id, @HeaderParam("If-Match") String ifMatch, InputStream body)
            throws IOException {
        UUID known = known(id);
        JsonObject sent = Bodies.object(body, FIELDS);
        Content content = Content.of(sent);
        long expected = expected(known, ifMatch, sent);
        return ok(people.update(known, expected, content.name(), content.preferences()).orElseThrow(PeopleResource::missing));
    }

    @DELETE
    @Path("{id}")
    public Response delete(@PathParam("id") String id, @HeaderParam("If-Match") String ifMatch) {
        if (!people.delete(known(id), Etags.version(ifMatch))) {
            throw missing();
        }
        return Response.noContent().build();
    }

    private long expected(UUID id, String ifMatch, JsonObject sent) {
        Long tag = Etags.version(ifMatch);
        if (tag != null) {
            return tag;
        }
        if (ifMatch != null) {
            return people.find(id).orElseThrow(PeopleResource::missing).version();
        }
        if (Bodies.absent(sent, "version")) {
            throw Problem.exception(428, "Name the version that the change is based on: If-Match, or the field version.");
        }
        if (sent.get("version") instanceof JsonNumber number && number.isIntegral()) {
            return number.longValue();
        }
        throw Bodies.invalid("version", "must be a whole number");
    }

    private static UUID known(String id) {
        try {
            return Bodies.uuid("id", id);
        } catch (InvalidInput notAnId) {
            throw missing();
        }
    }

    private static WebApplicationException missing() {
        return Problem.exception(404, "There is no such person.");
    }

    private static Response ok(Person person) {
        return Response.ok(json(person).toString()).header("ETag", Etags.of(person.version())).build();
    }

    private static JsonObject json(Person person) {
        return Json.createObjectBuilder()
                .add("id", person.id().toString())
                .add("name", person.name())
                .add("version", person.version())
                .add("createdAt", person.createdAt().toString())
                .add("updatedAt", person.updatedAt().toString())
                .add("preferences", PreferencesJson.complete(person.preferences()))
                .build();
    }

    /** What a client can change. */
    record Content(String name, Preferences preferences) {

        /** @throws InvalidInput naming every field in error */
        static Content of(JsonObject sent) {
            List<Violation> violations = new ArrayList<>();
            String name = null;
            Preferences preferences = Preferences.NONE;
            try {
                name = Bodies.absent(sent, "name") ? null : Bodies.text(sent, "name", Integer.MAX_VALUE).strip();
                Person.nameComplaint(name).ifPresent(violations::add);
            } catch (InvalidInput notText) {
                violations.addAll(notText.violations());
            }
            try {
                preferences = Bodies.absent(sent, "preferences") ? preferences : PreferencesJson.strict(sent.get("preferences"));
            } catch (InvalidInput invalid) {
                violations.addAll(invalid.violations());
            }
            if (!violations.isEmpty()) {
                throw new InvalidInput(violations);
            }
            return new Content(name, preferences);
        }
    }
}
