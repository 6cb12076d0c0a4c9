package perenne.pnp.web;

import jakarta.inject.Inject;
import jakarta.servlet.annotation.WebServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import perenne.pnp.model.InvalidInput;
import perenne.pnp.model.Person;
import perenne.pnp.model.Preference.Toggle;
import perenne.pnp.model.Preferences;
import perenne.pnp.model.Violation;
import perenne.pnp.store.People;

/** {@code /draft/presentation}, {@code control}, {@code content}, {@code review} and {@code discard}. */
@WebServlet("/draft/*")
public class DraftServlet extends PageServlet {

    private static final long serialVersionUID = 1;

    @Inject
    private transient People people;

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        List<String> path = path(request);
        Optional<Draft> draft = Draft.of(request);
        if (draft.isEmpty()) {
            seeOther(request, response, "/people");
        } else if (path.equals(List.of("discard"))) {
            send(response, 200, DraftViews.discard(frame(request, "draft"), draft.get()));
        } else if (step(path).isPresent()) {
            send(response, 200, show(request, draft.get(), step(path).get()));
        } else {
            response.sendError(HttpServletResponse.SC_NOT_FOUND);
        }
    }

    @Override
    protected void doPost(HttpServletRequest request, HttpServletResponse response) throws IOException {
        List<String> path = path(request);
        Optional<Draft> draft = Draft.of(request);
        if (draft.isEmpty()) {
            seeOther(request, response, "/people");
        } else if (path.equals(List.of("discard"))) {
            Draft.drop(request.getSession());
            seeOther(request, response, draft.get().isNew() ? "/people" : "/people/" + draft.get().person());
        } else if (step(path).isEmpty()) {
            response.sendError(HttpServletResponse.SC_NOT_FOUND);
        } else if (step(path).get() == Draft.Step.REVIEW) {
            review(request, response, draft.get());
        } else {
            level(request, response, draft.get(), step(path).get());
        }
    }

    private Html show(HttpServletRequest request, Draft draft, Draft.Step step) {
        Frame frame = frame(request, "draft");
        return step == Draft.Step.REVIEW
                ? DraftViews.review(frame, draft, draft.name(), Optional.empty(), OptionalLong.empty())
                : DraftViews.step(frame, draft, step, draft.preferences()::value, List.of());
    }

    /** Takes one level's form; {@code action=keep} is sent by the script while the form is being filled in. */
    private void level(HttpServletRequest request, HttpServletResponse response, Draft draft, Draft.Step step) throws IOException {
        Preferences changed;
        try {
            changed = draft.preferences().withForm(step.level().orElseThrow(), request::getParameter);
        } catch (InvalidInput invalid) {
            send(response, 422, DraftViews.step(frame(request, "draft"), draft, step,
                    preference -> preference instanceof Toggle && request.getParameter(preference.key()) == null
                            ? preference.initial() : parameter(request, preference.key()),
                    invalid.violations()));
            return;
        }
        String action = parameter(request, "action");
        Draft.Step reached = switch (action) {
            case "back" -> step.previous();
            case "keep" -> draft.step();
            default -> step.next();
        };
        draft.with(changed).at(reached).keep(request.getSession());
        if (action.equals("keep")) {
            response.setStatus(HttpServletResponse.SC_NO_CONTENT);
        } else {
            seeOther(request, response, "/draft/" + reached.key());
        }
    }

    private void review(HttpServletRequest request, HttpServletResponse response, Draft draft) throws IOException {
        String action = parameter(request, "action");
        String name = parameter(request, "name");
        Optional<Violation> complaint = Person.nameComplaint(name);
        if (action.equals("back")) {
            Draft.Step reached = Draft.Step.REVIEW.previous();
            (complaint.isPresent() ? draft : draft.named(name)).at(reached).keep(request.getSession());
            seeOther(request, response, "/draft/" + reached.key());
            return;
        }
        if (complaint.isPresent()) {
            send(response, 422, DraftViews.review(
                    frame(request, "draft"), draft, name, complaint.map(Violation::detail), OptionalLong.empty()));
            return;
        }
        Draft named = draft.named(name).at(Draft.Step.REVIEW);
        named.keep(request.getSession());
        save(request, response, action.equals("overwrite") ? rebased(named) : named);
    }

    private void save(HttpServletRequest request, HttpServletResponse response, Draft draft) throws IOException {
        OptionalLong conflict = store(draft);
        if (conflict.isPresent()) {
            send(response, 409, DraftViews.review(frame(request, "draft"), draft, draft.name(), Optional.empty(), conflict));
            return;
        }
        Draft.drop(request.getSession());
        seeOther(request, response, "/people/" + draft.person() + "?saved");
    }

    /** @return the version that stands in the way, if one does */
    private OptionalLong store(Draft draft) {
        try {
            if (!draft.isNew() && people.update(draft.person(), draft.base(), draft.name(), draft.preferences()).isPresent()) {
                return OptionalLong.empty();
            }
        } catch (People.StaleVersion stale) {
            return OptionalLong.of(stale.current());
        }
        // New, or deleted by somebody meanwhile: stored anew, so that what was entered is not lost.
        Person stored = people.create(draft.person(), draft.name(), draft.preferences());
        return stored.holds(draft.name(), draft.preferences()) ? OptionalLong.empty() : OptionalLong.of(stored.version());
    }

    private Draft rebased(Draft draft) {
        return people.find(draft.person()).map(stored -> draft.basedOn(stored.version())).orElse(draft);
    }

    private static Optional<Draft.Step> step(List<String> path) {
        return path.size() == 1 ? Draft.Step.find(path.get(0)) : Optional.empty();
    }
}
