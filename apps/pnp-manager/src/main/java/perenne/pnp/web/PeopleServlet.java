package perenne.pnp.web;

import jakarta.inject.Inject;
import jakarta.servlet.annotation.WebServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import perenne.pnp.model.Person;
import perenne.pnp.model.Violation;
import perenne.pnp.store.People;

/** {@code /people}, {@code /people/new}, {@code /people/ID} and, below that, {@code experience}, {@code edit}, {@code delete}. */
@WebServlet("/people/*")
public class PeopleServlet extends PageServlet {

    private static final long serialVersionUID = 1;
    private static final int PAGE_SIZE = 20;
    private static final int LAST_PAGE = 1_000_000;

    @Inject
    private transient People people;

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        List<String> path = path(request);
        if (path.isEmpty()) {
            list(request, response);
            return;
        }
        if (path.equals(List.of("new"))) {
            send(response, 200, PeopleViews.create(frame(request, "new"), "", Optional.empty()));
            return;
        }
        Optional<Person> person = path.size() > 2 ? Optional.empty() : find(path.get(0));
        String view = path.size() == 2 ? path.get(1) : "";
        if (person.isEmpty() || !List.of("", "delete", "experience").contains(view)) {
            response.sendError(HttpServletResponse.SC_NOT_FOUND);
            return;
        }
        send(response, 200, switch (view) {
            case "delete" -> PeopleViews.delete(frame(request, ""), person.get());
            case "experience" -> ExperienceView.show(frame(request, ""), person.get());
            default -> PeopleViews.show(frame(request, ""), person.get(), request.getParameter("saved") != null);
        });
    }

    @Override
    protected void doPost(HttpServletRequest request, HttpServletResponse response) throws IOException {
        List<String> path = path(request);
        if (path.equals(List.of("new"))) {
            create(request, response);
            return;
        }
        String action = path.size() == 2 ? path.get(1) : "";
        Optional<Person> person = List.of("edit", "delete").contains(action) ? find(path.get(0)) : Optional.empty();
        if (person.isEmpty()) {
            response.sendError(HttpServletResponse.SC_NOT_FOUND);
        } else if (action.equals("edit")) {
            start(request, response, Draft.of(person.get()));
        } else {
            people.delete(person.get().id(), null);
            seeOther(request, response, "/people?deleted");
        }
    }

    private void list(HttpServletRequest request, HttpServletResponse response) throws IOException {
        String text = parameter(request, "q").replace("\0", "");
        People.Page page = people.list(text, pageNumber(request), PAGE_SIZE);
        send(response, 200, PeopleViews.list(frame(request, "people"), page, text, request.getParameter("deleted") != null));
    }

    private void create(HttpServletRequest request, HttpServletResponse response) throws IOException {
        String name = parameter(request, "name");
        Optional<Violation> complaint = Person.nameComplaint(name);
        if (complaint.isPresent()) {
            send(response, 422, PeopleViews.create(frame(request, "new"), name, complaint.map(Violation::detail)));
            return;
        }
        start(request, response, Draft.of(name));
    }

    /** Starts a draft, unless there is one: a session has one at a time, and none is thrown away without a question. */
    private static void start(HttpServletRequest request, HttpServletResponse response, Draft draft) {
        Optional<Draft> earlier = Draft.of(request);
        if (earlier.isEmpty()) {
            draft.keep(request.getSession());
            seeOther(request, response, "/draft/" + draft.step().key());
        } else if (earlier.get().person().equals(draft.person())) {
            seeOther(request, response, "/draft/" + earlier.get().step().key());
        } else {
            seeOther(request, response, "/draft/discard");
        }
    }

    private Optional<Person> find(String id) {
        try {
            return people.find(UUID.fromString(id));
        } catch (IllegalArgumentException notAnId) {
            return Optional.empty();
        }
    }

    private static int pageNumber(HttpServletRequest request) {
        String page = parameter(request, "page");
        return page.matches("[1-9]\\d{0,5}") ? Math.min(Integer.parseInt(page), LAST_PAGE) : 1;
    }
}
