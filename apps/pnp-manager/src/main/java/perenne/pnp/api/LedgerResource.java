package perenne.pnp.api;

import jakarta.enterprise.context.RequestScoped;
import jakarta.inject.Inject;
import jakarta.json.Json;
import jakarta.json.JsonArrayBuilder;
import jakarta.json.JsonObject;
import jakarta.json.JsonObjectBuilder;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.DefaultValue;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.QueryParam;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import java.io.IOException;
import java.io.InputStream;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;
import perenne.pnp.store.Ledger;

/** The ledger of acknowledged writes, by which drills find out whether one was lost. */
@Path("ledger")
@RequestScoped
@Produces(MediaType.APPLICATION_JSON)
public class LedgerResource {

    private static final int MOST_ROWS = 10_000;
    private static final int MOST_IDS = 500;

    @Inject
    private Ledger ledger;

    @Context
    private HttpServletRequest request;

    /** Inserts one row; 201 after its commit, 200 when the row was there already. */
    @POST
    @Consumes(MediaType.APPLICATION_JSON)
    public Response write(InputStream body) throws IOException {
        JsonObject sent = Bodies.object(body, Set.of("id", "client"));
        UUID id = Bodies.uuid(sent, "id");
        String client = Bodies.text(sent, "client", 200);
        Ledger.Written written = ledger.write(id, client);
        if (!written.entry().client().equals(client)) {
            throw Problem.exception(409, "Another client has written this id.");
        }
        return Response.status(written.fresh() ? 201 : 200)
                .header("Location", request.getContextPath() + "/api/ledger/" + id)
                .entity(json(written.entry()).toString())
                .build();
    }

    @GET
    @Path("{id: [0-9a-fA-F-]{36}}")
    public Response read(@PathParam("id") String id) {
        return ledger.find(Bodies.uuid("id", id))
                .map(entry -> Response.ok(json(entry).toString()).build())
                .orElseThrow(() -> Problem.exception(404, "There is no such row."));
    }

    /**
     * Either the rows with given ids, and which of the ids are missing; or the rows of a client, in the order of {@code seq}.
     *
     * @param ids UUIDs separated by commas; the other parameters are then without meaning
     * @param since ISO 8601 time; earlier rows are left out
     * @param after the {@code next} of the page before
     */
    @GET
    public Response list(
            @QueryParam("ids") String ids,
            @QueryParam("client") String client,
            @QueryParam("since") String since,
            @QueryParam("after") @DefaultValue("0") String after,
            @QueryParam("limit") @DefaultValue("1000") String limit) {
        return ids != null
                ? found(Arrays.stream(ids.split(",")).filter(id -> !id.isBlank()).map(id -> Bodies.uuid("ids", id.strip()))
                        .collect(Collectors.toCollection(LinkedHashSet::new)))
                : page(
                        Bodies.storable("client", client),
                        time(since),
                        Numbers.within("after", after, 0, Long.MAX_VALUE),
                        Numbers.within("limit", limit, 1, MOST_ROWS));
    }

    /** The number of rows of a client, or of all; cheaper than to read them. */
    @GET
    @Path("count")
    public Response count(@QueryParam("client") String client, @QueryParam("since") String since) {
        long count = ledger.count(Bodies.storable("client", client), time(since));
        return Response.ok(Json.createObjectBuilder().add("count", count).build().toString()).build();
    }

    private Response found(Set<UUID> wanted) {
        if (wanted.size() > MOST_IDS) {
            throw Bodies.invalid("ids", "must not be more than %d".formatted(MOST_IDS));
        }
        List<Ledger.Entry> entries = ledger.find(wanted);
        entries.forEach(entry -> wanted.remove(entry.id()));
        JsonArrayBuilder missing = Json.createArrayBuilder();
        wanted.forEach(id -> missing.add(id.toString()));
        return Response.ok(Json.createObjectBuilder().add("rows", json(entries)).add("missing", missing).build().toString()).build();
    }

    private Response page(String client, Instant since, long after, int limit) {
        List<Ledger.Entry> entries = ledger.list(client, since, after, limit);
        JsonObjectBuilder page = Json.createObjectBuilder()
                .add("count", ledger.count(client, since))
                .add("rows", json(entries));
        if (entries.size() == limit) {
            page.add("next", entries.get(limit - 1).seq());
        } else {
            page.addNull("next");
        }
        return Response.ok(page.build().toString()).build();
    }

    private static Instant time(String text) {
        try {
            return text == null ? null : Instant.parse(text);
        } catch (DateTimeParseException malformed) {
            throw Bodies.invalid("since", "must be a time such as 2026-01-31T12:00:00Z");
        }
    }

    private static JsonArrayBuilder json(List<Ledger.Entry> entries) {
        JsonArrayBuilder rows = Json.createArrayBuilder();
        entries.forEach(entry -> rows.add(json(entry)));
        return rows;
    }

    private static JsonObject json(Ledger.Entry entry) {
        JsonObjectBuilder row = Json.createObjectBuilder()
                .add("id", entry.id().toString())
                .add("seq", entry.seq())
                .add("client", entry.client())
                .add("node", entry.node())
                .add("writtenAt", entry.writtenAt().toString());
        return (entry.server() == null ? row.addNull("server") : row.add("server", entry.server())).build();
    }
}
